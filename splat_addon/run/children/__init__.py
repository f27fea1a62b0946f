"""Child processes, seen from their parent: one class, and small adapters for each kind.

child              the one class, whatever a child says and however it is reached
exit_codes         how a child ended, in words
event_child        children that say events
trainer_process    the trainer: its command, its environment, and it as a child of ours
render_process     the Blender that renders a capture
detached           a trainer that needs no parent, watched through its run folder
"""
