"""Hostile files: every reader is given broken ones, and must refuse them in the project's own words or read them.

    __main__      what `dev.py fuzz` starts
    campaign      many cases of one format in a child process with a limit of memory and of time
    trial         one case: its files, how they are read, what must hold whatever they are
    mutations     how bytes, texts and JSON are broken
    splat_files, captures, runs
                  one function for each format: `ply(mutator)` breaks a good file and says how it is read
    faults        readers that are wrong on purpose: the campaign must find each

A new format is one function more, named in `FORMATS`. A case follows from format, seed and number alone, so a failure
is seen again with `python3 dev.py fuzz --format F --seed S --case N`.
"""
