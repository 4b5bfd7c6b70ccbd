"""Runs programs under observation: their output, seconds and memory; and what machine that was on."""
import json, os, pathlib, platform, subprocess, sys, threading, time

# A process of its own for each measurement: the peak of children never falls, and a child counts its parent's at first.
WATCHER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stdout, done.stderr, seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime]))
"""


def device_mib():
    """Memory taken on the first GPU, in MiB."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def run(command, gpu=False, environment=None, accepted=(0,)):
    """Runs a program.

    Gives its stdout, the seconds from start to end, processor seconds, the peak of resident memory of it and its
    children, and with `gpu` the most that nvidia-smi shows beyond what was taken before; memory in MiB.
    """
    before, most, ended = device_mib() if gpu else 0.0, [0.0], threading.Event()

    def sample():
        while not ended.is_set():
            most[0] = max(most[0], device_mib())
            time.sleep(0.05)

    sampler = threading.Thread(target=sample)
    if gpu:
        sampler.start()
    command = [str(part) for part in command]
    watched = [sys.executable, "-I", "-S", "-c", WATCHER] + command
    done = subprocess.run(watched, capture_output=True, text=True, check=True, env={**os.environ, **(environment or {})})
    ended.set()
    if gpu:
        sampler.join()
    code, stdout, stderr, seconds, rss, processor = json.loads(done.stdout)
    if code not in accepted:
        sys.exit(f"{' '.join(command)} ends with {code}:\n{stderr[-2000:]}")
    device = most[0] - before if gpu else None
    return {"stdout": stdout, "seconds": seconds, "processor_s": processor, "rss_mib": rss, "device_mib": device}


def machine(gpu=False):
    """What a measurement ran on, and how busy that was."""
    processor = platform.processor() or platform.machine()
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        lines = (line.partition(":") for line in information.read_text().splitlines())
        processor = next((value.strip() for key, _, value in lines if key.strip() == "model name"), processor)
    found = {"processor": processor, "cores": len(os.sched_getaffinity(0)), "system": platform.platform(), "load": os.getloadavg()}
    found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    if gpu:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    return found
