"""The contract between Blender and the trainer process. Standard library only, so that both sides can import it.

Blender starts `python -m splat_addon.trainer RUN_FOLDER`. The child writes one JSON event per line to its standard
output and reads one JSON command per line from its standard input; the end of its input means that the parent is gone.
Large things (splats, renders) travel as files in the run folder.

    events, wire, inbox      what is said, the child's end of it, commands through the run folder
    children/                the parent's end: one class for a child process, and its kinds
    config, folder, lock     what a run is asked to do, what it leaves behind, who trains in it
"""
