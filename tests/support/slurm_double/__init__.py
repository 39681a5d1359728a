"""A Slurm that is none: its commands as small scripts, its queue as one file, its jobs as processes of this user.

It takes the scripts, options and job arrays that a real Slurm takes from this project, and answers in the same words.
It needs no root and no daemon, and does on request what a real cluster rarely does. It has no time limits: nobody
waits for those. `tests/slurm/` runs on both.

    book.py      what the controller knows, in one locked file
    commands.py  sbatch, squeue, scancel, scontrol, srun
    agent.py     the life of one task on its nodes: limits, signals, how it ends
    processes.py which processes belong to a job

`tests.support.slurm.DoubleCluster` starts it, breaks it and stops it.
"""
