#!/usr/bin/env python3
"""Checks the event files of a run against its tables, with TensorBoard's own reader.

Usage: read_events.py RUN_DIR
Exits with 1 where a step is missing, there twice, or has another value. Needs: tensorboard.
"""
import csv, os, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = sys.argv[1]
events = EventAccumulator(run, size_guidance={"scalars": 0})
events.Reload()
tables = {name: list(csv.reader(open(os.path.join(run, name + ".csv")))) for name in ("metrics", "validation")}
steps_per_epoch = max(int(row[1]) for row in tables["metrics"][1:])

def compare(tag, rows, relative, absolute):
    found = [(event.step, event.value) for event in events.Scalars(tag)] if tag in events.Tags()["scalars"] else []
    fine = len(found) == len(rows) and all(
        step == row and abs(value - expected) <= relative * abs(expected) + absolute
        for (step, value), (row, expected) in zip(found, rows)
    )
    print(f"{tag}: {len(found)} values, {'as in the table' if fine else 'NOT as in the table'}")
    return fine

fine = True
for tag, column in (("train/loss", 2), ("train/learning_rate", 3)):
    rows = [((int(r[0]) - 1) * steps_per_epoch + int(r[1]), float(r[column])) for r in tables["metrics"][1:]]
    fine &= compare(tag, rows, 1e-6, 0)
header, *rows = tables["validation"]
for column, name in enumerate(header[1:-1], start=1):
    tag = "val/acc" if column == 1 else "val_class/" + name
    fine &= compare(tag, [(int(r[0]) * steps_per_epoch, float(r[column])) for r in rows if r[column]], 1e-6, 1e-6)
sys.exit(0 if fine else 1)
