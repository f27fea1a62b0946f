"""Stands where a panel's layout stands and writes down what is drawn, so that panels can be tested without a window."""

import sys


class RecordingLayout:
    """Records ("label", text), ("prop", name), ("operator", name, text), ("progress", text) and so on, in order.

    Folded sub-panels are opened when `opens`, so that what they hold is recorded too.
    """

    def __init__(self, record: list, opens: bool = True):
        self.record = record
        self.opens = opens

    def __getattr__(self, name):
        def draw(*arguments, **options):
            if name in ("row", "column", "box", "split"):
                return RecordingLayout(self.record, self.opens)
            if name == "panel":
                inside = RecordingLayout(self.record, self.opens)
                return inside, inside if self.opens else None
            if name == "operator":
                self.record.append(("operator", arguments[0], options.get("text")))
                return type("Properties", (), {})()
            if name == "prop":
                owner, identifier = arguments[:2]
                assert identifier in owner.bl_rna.properties, f"{identifier} is no property"
                self.record.append(("prop", identifier))
            else:
                self.record.append((name, options.get("text", "")))
            return None

        return draw


def drawn(panel, context, opens: bool = True) -> list:
    """What a panel class draws, with what stands below it without a header."""
    record: list = []
    for cls in (panel, *_messages_of(panel, context)):
        cls.draw(type("StandIn", (), {"layout": RecordingLayout(record, opens)})(), context)
    return record


def _messages_of(panel, context) -> list:
    """The panels of the same module below it that have no header, where they are shown."""
    name = getattr(panel, "bl_idname", "")
    below = [cls for cls in sys.modules[panel.__module__].CLASSES if getattr(cls, "bl_parent_id", None) == name]
    headless = [cls for cls in below if "HIDE_HEADER" in getattr(cls, "bl_options", ())]
    return [cls for cls in headless if getattr(cls, "poll", lambda _: True)(context)]


def texts(record: list) -> str:
    """All that can be read, as one text: a sentence may go over several labels."""
    return " ".join(entry[-1] for entry in record if entry[0] in ("label", "progress") and entry[-1])


class PlacedLayout:
    """Counts rows as Blender lays them out, and writes down in which row each button and setting stands."""

    def __init__(self, sheet: "Sheet", row: int | None = None):
        self._sheet, self._row = sheet, row  # all in one row, or each in a row of its own

    def __getattr__(self, name):
        def draw(*arguments, **options):
            if name in ("row", "split", "column", "box"):
                starts_row = name in ("row", "split") and self._row is None
                return PlacedLayout(self._sheet, self._sheet.next_row() if starts_row else self._row)
            row = self._sheet.next_row() if self._row is None else self._row
            if name == "panel":
                return PlacedLayout(self._sheet, row), PlacedLayout(self._sheet)
            if name == "operator":
                self._sheet.write(arguments[0], row)
                return type("Properties", (), {})()
            if name == "prop":
                self._sheet.write(f"{arguments[1]} of {type(arguments[0]).__name__}", row)
            return None

        return draw


class Sheet:
    """`rows` of buttons and settings by their names, the second of the same name as "name 2"; `height` rows in all."""

    def __init__(self):
        self.rows: dict[str, int] = {}
        self.height = 0

    def next_row(self) -> int:
        self.height += 1
        return self.height

    def write(self, name: str, row: int) -> None:
        number = 1 + sum(each.split(" #")[0] == name for each in self.rows)
        self.rows[f"{name} #{number}"] = row


def placed(panel, panels, context) -> Sheet:
    """Where everything stands in a panel and in those of `panels` below it, in their order, all unfolded."""
    sheet = Sheet()

    def lay_out(cls):
        if not getattr(cls, "poll", lambda _: True)(context):
            return
        if "HIDE_HEADER" not in getattr(cls, "bl_options", ()):
            sheet.next_row()
        cls.draw(type("StandIn", (), {"layout": PlacedLayout(sheet)})(), context)
        name = getattr(cls, "bl_idname", None)
        below = [each for each in panels if getattr(each, "bl_parent_id", None) == name]
        for each in sorted(below, key=lambda each: getattr(each, "bl_order", 0)):
            lay_out(each)

    lay_out(panel)
    return sheet
