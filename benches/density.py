"""How much a host holds: kernel memory of idle sandboxes, and a thousand functions, deployed and then warm."""

import re
import statistics
import time

# What the kernel has taken for itself, as /proc/meminfo counts it. What it would give back at once is left out.
KERNEL = ["SUnreclaim", "KernelStack", "PageTables", "Percpu"]
MANY = 1000


def kernel_kib():
    counted = dict(re.findall(r"(\w+):\s+(\d+) kB", open("/proc/meminfo").read()))
    return sum(int(counted[name]) for name in KERNEL)


def memory_kib(pids):
    """PSS of processes together, and what of it each has to itself."""
    shared = private = 0
    for pid in pids:
        try:
            counted = dict(re.findall(r"(\w+):\s+(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read()))
        except OSError:
            continue
        shared += int(counted.get("Pss", 0))
        private += int(counted.get("Private_Clean", 0)) + int(counted.get("Private_Dirty", 0))
    return shared, private


def sandboxes(platform, few=4, many=104, turns=5):
    """Kernel memory of a sandbox kept ready: platforms with few and with many of them, turn about, since the host does other things, too."""
    seen = {few: [], many: []}
    for _ in range(turns):
        for ready in (few, many):
            before = kernel_kib()
            platform.start("--prepared", str(ready))
            time.sleep(5)
            seen[ready].append(kernel_kib() - before)
            platform.stop()
            time.sleep(2)
    each = [(more - less) / (many - few) for less, more in zip(seen[few], seen[many])]
    print(f"kernel memory of an idle sandbox: {statistics.median(each):.0f} KiB (turns: {', '.join(f'{one:.0f}' for one in each)})", flush=True)


def thousand(platform, python, code, tree, cpu_us):
    """A thousand Python functions, each with code of its own: deployed and idle, then each called once and kept."""
    began = time.perf_counter()
    for n in range(MANY):
        platform.create(f"many{n}", python, {"app.py": f"NUMBER = {n}\n" + code}, memory=128)
    print(f"{MANY} functions deployed in {time.perf_counter() - began:.0f} s", flush=True)
    # What a deployment has made ready ends after some seconds without calls; then nothing is due.
    time.sleep(30)
    pids = tree()
    before = cpu_us(pids)
    time.sleep(10)
    print(f"idle with {MANY} functions deployed: CPU {(cpu_us(pids) - before) / 1e5:.3f} % over 10 s", flush=True)
    (pss, private), kernel, began = memory_kib(tree()), kernel_kib(), time.perf_counter()
    for n in range(MANY):
        platform.invoke(f"many{n}")
    took = time.perf_counter() - began
    pids = tree()
    (pss_now, private_now), kernel_now = memory_kib(pids), kernel_kib()
    print(
        f"{MANY} functions called once each in {took:.0f} s and warm: PSS of all {pss_now / 1024:.0f} MiB, {(pss_now - pss) / MANY:.0f} KiB more each; "
        f"private {(private_now - private) / MANY:.0f} KiB each; kernel {(kernel_now - kernel) / MANY:.0f} KiB each; {len(pids)} processes",
        flush=True,
    )
    for n in range(MANY):
        platform.connection.call("DELETE", f"/2015-03-31/functions/many{n}")
