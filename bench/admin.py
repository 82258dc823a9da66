# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the admin service answers, against a fake ground: 10, 200 and 1,000 qubes, idle and while 20 start.

usage: bench/admin.py [N…]      from the top of the tree; SKERRY_BUILD says which build (build/release)
"""
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/blackbox"))
import admin_common as ac  # noqa: E402

TEMPLATE_FEATURES = ("qrexec", "gui", "supported-rpc.qubes.WaitForRunningSystem",
                     "supported-rpc.qubes.WaitForSession")


def quantiles(times):
    times = sorted(times)
    return "p50 %7.3f  p99 %7.3f  max %7.3f ms" % tuple(
        1000 * times[min(len(times) - 1, int(len(times) * q))] for q in (0.5, 0.99, 1))


def measure(label, fn, count):
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        fn()
        times.append(time.perf_counter() - begin)
    print("  %-34s %s" % (label, quantiles(times)))


def rss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        fields = dict(line.split(":") for line in f if line.startswith(("Rss", "Pss", "Private")))
    return sum(int(fields[k].split()[0]) for k in fields if k.startswith("Private")), int(fields["Rss"].split()[0])


def lateness(count):
    """What any process waits for here before it runs: reads cannot be quicker than this at the same quantile."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        time.sleep(0.001)
        times.append(max(0.0, time.perf_counter() - begin - 0.001))
    print("  %-34s %s" % ("reference: a sleeper wakes late by", quantiles(times)))


def reads(a, count):
    lateness(count)
    measure("admin.vm.List, all", lambda: a.call("admin.vm.List"), count)
    measure("admin.vm.List, one", lambda: a.call("admin.vm.List", dest="q0"), count)
    measure("admin.vm.property.GetAll", lambda: a.call("admin.vm.property.GetAll", dest="q0"), count)
    measure("admin.vm.property.Get netvm", lambda: a.call("admin.vm.property.Get", "netvm", "q0"), count)
    measure("internal.GetSystemInfo", lambda: a.call("internal.GetSystemInfo", sock="qubesd.internal.sock"), count)


def latency(a, count):
    stream = a.events()
    stream.wait(lambda e: e)
    times = []
    for i in range(count):
        before = len(stream.events)
        begin = time.perf_counter()
        a.call("admin.vm.tag.Set" if i % 2 == 0 else "admin.vm.tag.Remove", "bench", "q0")
        stream.wait(lambda e: len(e) > before)
        times.append(time.perf_counter() - begin)
    print("  %-34s %s" % ("a tag's change to its event", quantiles(times)))
    stream.close()


def disposables(a, count):
    a.ok("admin.vm.feature.Set", "preload-dispvm-delay", "dvm", "0")
    a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "8")
    times = []
    for _ in range(count):
        ac.until(lambda: [n for n in a.ok("admin.vm.feature.Get", "preload-dispvm", "dvm").split()
                          if a.call("admin.vm.feature.Get", "preload-dispvm-completed", n) == b"0\x001"])
        begin = time.perf_counter()
        name = a.ok("admin.vm.CreateDisposable", dest="dvm")
        times.append(time.perf_counter() - begin)
        threading.Thread(target=a.call, args=("admin.vm.Kill", "", name)).start()
    print("  %-34s %s" % ("a disposable from the pool", quantiles(times)))
    a.ok("admin.vm.feature.Set", "preload-dispvm-max", "dvm", "0")


def starting(a, count):
    """Reads while 20 qubes start, one after the other, again and again."""
    stop = threading.Event()

    def work(i):
        name = "q%d" % (i + 1)
        while not stop.is_set():
            a.call("admin.vm.Start", dest=name)
            a.call("admin.vm.Kill", dest=name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    print("  while 20 qubes start and stop:")
    reads(a, count)
    stop.set()
    for thread in threads:
        thread.join()


def run(number):
    a = ac.Admin()
    a.ok("admin.property.Set", "default_kernel", payload="6.12.1-1.fc41")
    a.ok("admin.vm.Create.TemplateVM", payload="name=tpl label=black")
    for feature in TEMPLATE_FEATURES:
        a.ok("admin.vm.feature.Set", feature, "tpl", "1")
    a.ok("admin.property.Set", "default_template", payload="tpl")
    a.ok("admin.vm.Create.AppVM", payload="name=dvm label=red")
    a.ok("admin.vm.property.Set", "template_for_dispvms", "dvm", "True")
    begin = time.perf_counter()
    for i in range(number):
        a.ok("admin.vm.Create.AppVM", payload="name=q%d label=red" % i)
    each = (time.perf_counter() - begin) / number
    a.stop()
    begin = time.perf_counter()
    a.start()
    print("%d qubes: start %.3f s, creation %.2f ms each, memory private %d KiB, resident %d KiB" % (
        (number, time.perf_counter() - begin, each * 1000) + rss(a.admin.pid)))
    reads(a, 1000)
    measure("admin.vm.feature.Set (durable)", lambda: a.call("admin.vm.feature.Set", "x", "q0", "1"), 300)
    latency(a, 300)
    if number >= 30:
        starting(a, 500)
    disposables(a, 30)
    print("  memory at the end: private %d KiB, resident %d KiB; store: private %d KiB" % (
        rss(a.admin.pid) + rss(a.store.pid)[:1]))
    a.close()


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["10", "200", "1000"]:
        run(int(argument))
