"""Torture: trainers, parents and Blenders are killed, disks fill, folders go; what was promised must hold afterwards.

    __main__      what `dev.py torture` starts
    campaign      many trials of every kind, each followed from kind, seed and number
    place         where a trial works: a small capture, runs of it, random moments
    promises      what must hold of a run folder, whatever happened to those who wrote it
    trainers, disks, blenders
                  one function for each kind of accident: it has it happen in a place and raises `Broken`
    blender_at_work
                  what a Blender does until it is killed

A new kind is one function more, named in `KINDS`. A trial follows from kind, seed and number, as far as the machine's
clock lets it: `python3 dev.py torture --kind K --seed S --number N`.
"""
