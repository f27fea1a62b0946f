"""The trainer's Python environment: what it needs, how it is made, whether it works. Standard library only.

`requirements.json` lists what the trainer needs; both the set-up and `dev.py` read it.
"""
