"""Stands where a panel's layout stands and writes down what is drawn, so that panels can be tested without a window."""


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
    """What a panel class draws."""
    record: list = []
    panel.draw(type("StandIn", (), {"layout": RecordingLayout(record, opens)})(), context)
    return record


def texts(record: list) -> str:
    """All that can be read, as one text: a sentence may go over several labels."""
    return " ".join(entry[-1] for entry in record if entry[0] in ("label", "progress") and entry[-1])
