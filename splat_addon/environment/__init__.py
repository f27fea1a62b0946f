"""The trainer's Python environment: what it needs, how it is made, whether it works. Standard library only.

What is to be installed stands in `requirements.json`, the one list that the set-up and development read.
"""
