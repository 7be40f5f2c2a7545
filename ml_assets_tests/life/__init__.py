"""A simulated life: years of a small use case in minutes, through the real sensors, schedules, queue and alert relay.

`python -m ml_assets_tests.life --folder F --days 730 --seed 1 --zone Asia/Kolkata --cadence daily` lives one. A world
lands files with seeded faults (`world.py`, `plan.py`), a driver moves the clock and lets Dagster's daemons look at it
(`driver.py`, `machine.py`), and at the end promises are checked by code that reads files and tables by itself
(`promises.py`).
"""
