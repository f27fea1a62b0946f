"""Floaters in the scene: what an inspection says, kept with the splats, and what the artist does about it.

columns.py   scores and evidence as attributes; which of them still belong to their splats
found.py     how many splats are above the score, for panels
choosing.py  selecting, keeping, hiding and deleting
stepping.py  from swarm to swarm
"""
