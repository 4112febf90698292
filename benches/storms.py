"""Many at once: distinct cold functions, environments of one function, runtimes mixed, and twice the load there is room for."""

import json
import os
import selectors
import statistics
import tempfile
import threading
import time

import cold

HELLO = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'body': json.dumps({'hello': event.get('name', 'x')})}\n"
SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return context.log_stream_name\n"
NODE = "exports.handler = async (event) => ({ hello: event.name });\n"
EVENT = b'{"name":"lambent"}'
CORES = os.cpu_count()
# Whatever of these the host can serve takes part in the mixed storm, some of them more than once.
PYTHONS = [f"python3.{minor}" for minor in range(8, 16)]
NODES = [f"nodejs{major}.x" for major in range(18, 27, 2)]
CUSTOM = ["provided", "provided.al2", "provided.al2023"]
MIXED = 16
LOAD_SECONDS = 5


def busy_ms():
    """CPU time of the whole machine, whoever used it, ms."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, open("/proc/stat").readline().split()[1:])
    return (user + nice + system + irq + softirq) * 1000 / os.sysconf("SC_CLK_TCK")


def at_once(platform, calls):
    """Sends (function, event) pairs at the same moment, each over a connection of its own; ms of each, all answers, ms of all, CPU."""
    connections = [platform.connect() for _ in calls]
    for connection, (name, event) in zip(connections, calls):
        connection.begin("POST", f"/2015-03-31/functions/{name}/invocations", event)
    busy, began = busy_ms(), time.perf_counter()
    waiting = selectors.DefaultSelector()
    for connection in connections:
        connection.socket.sendall(connection.pending)
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    took, answers = [], []
    while waiting.get_map():
        for key, _ in waiting.select():
            waiting.unregister(key.fileobj)
            status, body = key.data.end()
            took.append((time.perf_counter() - began) * 1e3)
            answers.append((status, body))
            key.fileobj.close()
    return took, answers, (time.perf_counter() - began) * 1e3, busy_ms() - busy


def alone_ms(platform, names, turns):
    """CPU of a cold start of each of them, one after the other: what their work is when nobody is in the way."""
    busy = busy_ms()
    for name in names:
        platform.cold(name, turns, False)
    return (busy_ms() - busy) / turns / len(names)


def told(row, what, calls, result, alone):
    took, answers, whole, busy = result
    bad = [answer for answer in answers if answer[0] != 200 or b"errorMessage" in answer[1]]
    row(what, took, note=f"all {whole:.0f} ms, slowest {max(took) / statistics.median(took):.2f} x the median, {len(bad)} refused")
    work = alone * len(calls) / CORES
    print(f"  = {whole / work:.2f} x the CPU work, {alone:.1f} ms each when alone, on {CORES} cores; {busy / len(calls):.1f} ms each within it", flush=True)


def distinct(platform, python, row):
    """A hundred distinct cold functions."""
    for n in range(100):
        platform.create(f"storm{n}", python, {"app.py": HELLO}, memory=128)
    calls = [(f"storm{n}", EVENT) for n in range(100)]
    result = at_once(platform, calls)
    told(row, "storm: 100 distinct cold functions at once", calls, result, alone_ms(platform, [f"storm{n}" for n in range(20)], 2))
    for n in range(100):
        platform.connection.call("DELETE", f"/2015-03-31/functions/storm{n}")


def environments(platform, python, pss_kib, tree):
    """Many environments of one function from zero."""
    platform.create("sleeper", python, {"app.py": SLEEPER}, memory=128)
    for count in (100, 500):
        platform.json("PUT", "/2015-03-31/functions/sleeper/configuration", {"Environment": {"Variables": {"TURN": str(count)}}})
        wait = count / 100
        _, answers, whole, _ = at_once(platform, [("sleeper", json.dumps({"s": wait}).encode())] * count)
        good = {body for status, body in answers if status == 200 and b"errorMessage" not in body}
        private = pss_kib(tree(platform.process.pid)) / 1024
        refused = len([status for status, _ in answers if status != 200])
        print(f"storm: {count} environments of one function from zero: {whole - wait * 1e3:9.0f} ms, {len(good)} environments, {refused} refused, PSS of all {private:.0f} MiB", flush=True)


def mixed(platform, row):
    """Sixteen cold functions of all runtimes that the host can serve, at once."""
    program, _ = cold.compiled()
    kinds = [(runtime, {"app.py": HELLO}) for runtime in PYTHONS] + [(runtime, {"app.js": NODE}) for runtime in NODES]
    kinds += [(runtime, {"bootstrap": program}) for runtime in CUSTOM if program]
    served = []
    for runtime, files in kinds:
        name = "probe-" + runtime.replace(".", "-")
        try:
            platform.create(name, runtime, files)
        except AssertionError:
            continue
        _, status, _ = platform.connection.invoke(name)
        if status == 200:
            served.append((runtime, files))
    names = []
    for n in range(MIXED):
        runtime, files = served[n % len(served)]
        names.append(f"mixed{n}")
        platform.create(names[-1], runtime, files)
    print(f"storm: {MIXED} functions of {len(served)} runtimes: {', '.join(runtime for runtime, _ in served)}", flush=True)
    for turn in range(3):
        for name in names if turn else []:
            platform.json("PUT", f"/2015-03-31/functions/{name}/configuration", {"Environment": {"Variables": {"STORM": str(turn)}}})
        time.sleep(1)
        calls = [(name, EVENT) for name in names]
        result = at_once(platform, calls)
        told(row, f"storm: {MIXED} runtimes mixed, turn {turn + 1}", calls, result, alone_ms(platform, names, 2))
    for name in names:
        took = statistics.median(platform.cold(name, 3, False))
        print(f"  {served[int(name[5:]) % len(served)][0]:16s} alone {took:6.1f} ms", end="", flush=True)
    print(flush=True)


def loaded(platform, name, callers, pause):
    """Callers that ask again and again, each at most once in `pause` seconds: ms of what was admitted, and how often each refusal."""
    took, refused, lock, stop = [], {}, threading.Lock(), time.perf_counter() + LOAD_SECONDS

    def call(at):
        connection = platform.connect()
        due = time.perf_counter() + at * pause / callers
        while due < stop:
            time.sleep(max(0, due - time.perf_counter()))
            due += pause
            one, status, body = connection.call("POST", f"/2015-03-31/functions/{name}/invocations", b'{"s": 0.05}')
            with lock:
                if status == 200:
                    took.append(one * 1e3)
                else:
                    reason = json.loads(body).get("Reason", "none")
                    refused[f"{status} {reason}"] = refused.get(f"{status} {reason}", 0) + 1

    threads = [threading.Thread(target=call, args=(at,)) for at in range(callers)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return took, refused


def twice(row, name, what, platform, room):
    """Load within the capacity, twice it, and within it again."""
    for load, callers in (("half of it", room // 2), ("twice it", room * 2), ("half of it again", room // 2)):
        took, refused = loaded(platform, name, callers, 0.06)
        shown = ", ".join(f"{count} x {reason}" for reason, count in sorted(refused.items())) or "none refused"
        row(f"load: {what}, {load}", took, note=f"{len(took) / LOAD_SECONDS:.0f} a second; {shown}")


def load(platform, python, row):
    """Twice what a function, and what an account, may run at once."""
    room = 20
    platform.create("busy", python, {"app.py": SLEEPER}, memory=128)
    platform.json("PUT", "/2017-10-31/functions/busy/concurrency", {"ReservedConcurrentExecutions": room})
    twice(row, "busy", f"a function with room for {room}", platform, room)
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as data:
        other = type(platform)(platform.binary, data)
        other.start("--concurrency", str(room))
        try:
            other.create("busy", python, {"app.py": SLEEPER}, memory=128)
            twice(row, "busy", f"an account with room for {room}", other, room)
        finally:
            other.stop()
