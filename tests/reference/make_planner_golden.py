"""Writes what Auto3DSeg's segresnet template decides for made-up datasets: trainer/tests/golden/planner.json.

    python make_planner_golden.py RESEARCH_CONTRIBUTIONS OUT.json [--cases 200]

RESEARCH_CONTRIBUTIONS is a checkout of Project-MONAI/research-contributions. Its own code takes every decision: the
template is filled as for a new bundle, then the statements that its training starts with are run on the result. Only
the memory of the GPU is given. Needs MONAI.
"""

import argparse
import ast
import copy
import importlib
import json
import os
import random
import sys
import tempfile
import types
from pathlib import Path

import yaml

TEMPLATE = "auto3dseg/algorithm_templates/segresnet"


def load(template: Path):
    """The template's modules, without its command line."""
    sys.modules.setdefault("fire", types.ModuleType("fire"))
    sys.path.insert(0, str(template / "scripts"))
    return importlib.import_module("algo"), importlib.import_module("utils")


def start_of_training(template: Path):
    """The statements by which training adapts its configuration, as two code objects, and what they call."""
    tree = ast.parse((template / "scripts/segmenter.py").read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    def first(statements, text):
        return next(k for k, node in enumerate(statements) if ast.unparse(node).startswith(text))

    def code(statements):
        return compile(ast.Module(statements, []), "segmenter.py", "exec")

    init = next(
        node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and "auto_scale_allowed" in ast.unparse(node)
    )
    scaling = init[first(init, "if config['auto_scale_allowed']")]
    train = next(node.body for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "train")
    begin = first(train, "num_steps_per_image =")
    end = first(train, "val_schedule_list =")
    return code([scaling]), code([functions["schedule_validation_epochs"]]), code(train[begin : end + 1])


def made_up(rng: random.Random) -> dict:
    """A dataset, a task and a GPU."""
    plane = rng.choice([0.42, 0.625, 0.79, 1.0, round(rng.uniform(0.3, 2.5), 3)])
    x, y = plane, plane if rng.random() < 0.7 else round(plane * rng.uniform(0.6, 1.6), 3)
    z = rng.choice([plane, 1.0, 5.0, round(plane * rng.uniform(0.3, 12.0), 3)])
    median = [x, y, z]
    spread = rng.choice([0.0, 0.1, 0.6])

    def scaled(low, high):
        return [round(mm * rng.uniform(low, high), 4) for mm in median]

    low = scaled(1 - spread, 1.0)
    spacing = {
        "median": median,
        "percentile_00_5": [round(mm * rng.uniform(0.7, 1.0), 4) for mm in low] if spread else low,
        "percentile_10_0": low,
        "percentile_99_5": scaled(1.0, 1 + 1.5 * spread),
    }
    tiny = rng.random() < 0.15
    most = rng.choice([120, 250, 600])
    voxels = [rng.randint(2, 40) if tiny and rng.random() < 0.6 else rng.randint(20, most) for _ in range(3)]
    growth = rng.choice([1.02, 1.15, 1.6])
    size = [round(n * mm, 3) for n, mm in zip(voxels, median)]
    task = {"modality": rng.choice(["CT", "MRI"])}
    mode = rng.choice([None, None, None, "auto", "median", "median10", "ones"])
    if mode:
        task["resample_mode"] = mode
    if rng.random() < 0.15:
        task["resample_resolution"] = [round(mm * rng.uniform(0.5, 2.0), 2) for mm in median]
    if rng.random() < 0.1:
        task["resample"] = rng.random() < 0.5
    for flag, chance in [("allowed", 0.1), ("batch", 0.2), ("roi", 0.3), ("filters", 0.3)]:
        if rng.random() < chance:
            task["auto_scale_" + flag] = rng.random() < 0.5
    return {
        "spacing": spacing,
        "sizemm": {
            "median": size,
            "percentile_90_0": [round(mm * rng.uniform(1.0, growth), 3) for mm in size],
        },
        "n_cases": rng.choice([1, 12, 30, 64, 100, 131, 200, 260, 267, 484, 1251]),
        "classes": rng.choice([2, 3, 4, 5, 14, 20, 21, 22, 30, 60, 105, rng.randint(2, 110)]),
        "foreground": [round(rng.uniform(-1000, 0), 2), round(rng.uniform(1, 1500), 2)],
        "memory_gib": rng.choice([8, 11, 12, 16, 16.9, 22.2, 24, 31.7, 40, 47.5, 79.2, 80, 141]),
        "task": task,
    }


def steps(epochs) -> list:
    """Ascending epochs as [step, times] pairs."""
    found, last = [], 0
    for epoch in epochs:
        step, last = int(epoch) - last, int(epoch)
        if found and found[-1][0] == step:
            found[-1][1] += 1
        else:
            found.append([step, 1])
    return found


def decide(case: dict, algo, utils, training, template: Path) -> dict:
    """Runs the template on a case."""
    adapt, schedule, begin = training
    utils.get_gpu_mem_size = lambda: case["memory_gib"]
    stats = {
        "n_cases": case["n_cases"],
        "image_stats": {"channels": {"max": 1}, "spacing": case["spacing"], "sizemm": case["sizemm"]},
        "image_foreground_stats": {
            "intensity": {"percentile_00_5": case["foreground"][0], "percentile_99_5": case["foreground"][1]}
        },
        "label_stats": {"labels": list(range(case["classes"]))},
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "configs").mkdir()
        name = "configs/hyper_parameters.yaml"
        (folder / name).write_text((template / name).read_text())
        (folder / "stats.yaml").write_text(yaml.safe_dump({"stats_summary": stats}))
        (folder / "task.yaml").write_text(yaml.safe_dump({"dataroot": ".", "datalist": "list.json", **case["task"]}))
        filler = algo.SegresnetAlgo.__new__(algo.SegresnetAlgo)
        filler.data_list_file = str(folder / "task.yaml")
        filler.fill_template_config(str(folder / "stats.yaml"), str(folder))
        from monai.bundle import ConfigParser

        parser = ConfigParser(globals=False)
        parser.read_config(str(folder / name))
        keys = [
            "auto_scale_allowed auto_scale_batch auto_scale_roi auto_scale_filters image_size_mm_median image_size",
            "resample resample_resolution anisotropic_scales output_classes roi_size batch_size crop_mode num_epochs",
            "num_steps_per_image num_crops_per_image num_epochs_per_saving num_warmup_epochs",
            "num_epochs_per_validation normalize_mode intensity_bounds",
        ]
        config = {key: parser.get_parsed_content(key) for key in " ".join(keys).split()}
        config["network"] = copy.deepcopy(parser.get("network"))
        config["pretrained_ckpt_name"] = None
    import numpy as np

    names = {"config": config, "np": np, "auto_adjust_network_settings": utils.auto_adjust_network_settings}
    exec(adapt, names)
    exec(schedule, names)
    # The cases of a training fit in memory here.
    this = types.SimpleNamespace(global_rank=1)
    names.update(self=this, cache_rate_train=1.0)
    exec(begin, names)
    from monai.networks.nets.segresnet_ds import scales_for_resolution

    scales = [[2, 2, 2]] * 9
    if config["anisotropic_scales"]:
        scales = scales_for_resolution(config["resample_resolution"], 9)
    strides = np.array([np.broadcast_to(scale, 3) for scale in scales])
    factor = strides[: len(config["network"]["blocks_down"]) - 1].prod(axis=0)
    return {
        "spacing": [float(mm) for mm in config["resample_resolution"]],
        "resample": bool(config["resample"]),
        "anisotropic": bool(config["anisotropic_scales"]),
        "normalize_mode": config["normalize_mode"],
        "intensity_bounds": config["intensity_bounds"],
        "roi": [int(side) for side in config["roi_size"]],
        # Whether the template's network takes its own patch.
        "valid": all(int(side) % int(n) == 0 for side, n in zip(config["roi_size"], factor)),
        "blocks": [int(count) for count in config["network"]["blocks_down"]],
        "filters": int(config["network"]["init_filters"]),
        "images": int(config["batch_size"]),
        "crops": int(config["num_crops_per_image"]),
        "crop_mode": config["crop_mode"],
        "epochs": int(names["num_epochs"]),
        "validations": steps(names["val_schedule_list"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("research_contributions", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    arguments = parser.parse_args()
    template, out = (arguments.research_contributions / TEMPLATE).resolve(), arguments.out.resolve()
    # The template's log goes to the current folder.
    os.chdir(tempfile.gettempdir())
    algo, utils = load(template)
    training = start_of_training(template)
    rng, cases = random.Random(0), []
    while len(cases) < arguments.cases:
        case = made_up(rng)
        expected = decide(case, algo, utils, training, template)
        # A window of a plan has at most 1024 voxels along a side, a network at most 4096 filters.
        if max(expected["roi"]) <= 1024 and expected["filters"] <= 4096:
            cases.append({**case, "expected": expected})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    source = "Auto3DSeg segresnet template, by tests/reference/make_planner_golden.py"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f'{{"source":"{source}","cases":[\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {sum(not case['expected']['valid'] for case in cases)} with an invalid patch")


if __name__ == "__main__":
    main()
