# SPDX-License-Identifier: GPL-2.0-or-later
"""skerryd, the toolstack of the local ground and real qubes; the test stands in the admin service's place."""
import os
import socket
import struct
import subprocess
import time

import monitor_wire as w
from harness import Failure, Skip, case, check, equal, main, wait_for
from monitor_system import DATABASE, KEEPER, NETWORK, POLICY, QUBE, RECORD, System, control_groups, TOOLSTACK, SYSTEM, start_time


# If this failed, no qube could be started, used, paused or stopped on plain Linux.
@case("local a qube's whole life, and an end that leaves nothing")
def _(t):
    s = System(t)
    equal(s.start(), [], "qubes of a new system")
    began = time.monotonic()
    domid = s.run("work")
    print(f"# from CREATE to the agent's greeting: {1000 * (time.monotonic() - began):.0f} ms")
    equal(s.output("work", "id -un; hostname; pwd").split(), ["user", "work", "/home/user"])
    equal(s.output("work", "echo kept >~/file && cat /rw/home/user/file"), "kept")
    equal(s.output("work", "ls /etc/qubes-rpc/qubes.VMShell"), "/etc/qubes-rpc/qubes.VMShell")
    stats = s.peer.ask(w.STATS)
    equal(stats.kind, w.DONE)
    row = s.peer.event(w.STAT, domid)
    check(row.memory > 0 and row.vcpus == 1, f"figures: {row}")
    equal(s.peer.ask(w.SHUTDOWN, domid=domid).kind, w.DONE)
    equal(s.peer.event(w.STOPPED, domid).cause, w.OFF)
    # The private volume stays; everything else went.
    second = s.run("work")
    check(second != domid, "a number given twice")
    equal(s.output("work", "cat ~/file; ls /tmp | wc -l").split(), ["kept", "0"])
    s.stop()
    if os.geteuid() == 0:
        # Another test's system may have made it again meanwhile, and is about to use it.
        wait_for(lambda: not control_groups(), "no empty control group is left")


# If this failed, a qube that is paused would go on working behind the user's back.
@case("local pause stops every process, unpause lets them go on")
def _(t):
    s = System(t)
    s.start()
    domid = s.run("work")
    s.output("work", "for i in 1 2 3; do (while :; do echo x >>~/count$i; sleep 0.01; done) >/dev/null 2>&1 & done; sleep 0.2")
    files = [os.path.join(s.volume("work"), "home/user", f"count{i}") for i in (1, 2, 3)]
    sizes = lambda: [os.path.getsize(f) for f in files]  # noqa: E731
    before = sizes()
    wait_for(lambda: all(a > b for a, b in zip(sizes(), before)), "it runs")
    equal(s.peer.ask(w.PAUSE, domid=domid).kind, w.DONE)
    stopped = sizes()
    time.sleep(0.3)
    equal(sizes(), stopped, "files of a paused qube")
    equal(s.peer.ask(w.SHUTDOWN, domid=domid).error, w.E_STATE, "a paused qube cannot end by itself")
    equal(s.peer.ask(w.UNPAUSE, domid=domid).kind, w.DONE)
    wait_for(lambda: all(a > b for a, b in zip(sizes(), stopped)), "it goes on")
    s.stop()


# If this failed, one file of a qube could fill dom0's disk.
@case("local no file grows larger than the private volume")
def _(t):
    s = System(t)
    s.start()
    s.run("work", size=8 << 20)
    status, text = s.call("work", "dd if=/dev/zero of=$HOME/big bs=65536 count=1000")
    check(status != 0, f"a file of 64 MiB in a volume of 8: {text}")
    equal(s.output("work", "stat -c %s ~/big"), str(8 << 20))
    status, text = s.call("work", "truncate -s 9M ~/hole")
    check(status != 0, f"a hole of 9 MiB in a volume of 8: {text}")
    s.output("work", "head -c 8M /dev/zero >~/other")
    s.run("vault")
    s.output("vault", "truncate -s 9M ~/hole")
    s.stop()


# If this failed, the admin service would be told that something was done that was not.
@case("local what cannot be is refused with a reason")
def _(t):
    s = System(t)
    s.start()
    for kind in (w.UNPAUSE, w.PAUSE, w.SHUTDOWN, w.DESTROY):
        equal(s.peer.ask(kind, domid=77).error, w.E_STATE, w.NAMES[kind])
    equal(s.peer.ask(w.NETWORK, domid=77, netvm=0, ip=0).error, w.E_STATE)
    equal(s.peer.ask(w.QREXEC, domid=77, seconds=1, name="x", user="user", uuid=bytes(16)).error, w.E_STATE)
    failed = s.create("work", private="/nonexistent")
    equal((failed.kind, failed.error), (w.FAILED, w.E_VOLUME))
    check("folder" in failed.text, failed.text)
    equal(s.create("work", root=(w.VOLUME_FILE, "/etc/passwd")).error, w.E_VOLUME)
    domid = s.run("work")
    equal(s.create("work").error, w.E_EXISTS)
    equal(s.peer.ask(w.DESTROY, domid=domid).kind, w.DONE)
    equal(s.peer.event(w.STOPPED, domid).cause, w.DESTROYED)
    equal(s.peer.ask(w.DESTROY, domid=domid).error, w.E_STATE)
    # Nobody's agent: the daemon gives up after its time with the status that means so.
    made = s.create("deaf")
    answer = s.peer.ask(w.QREXEC, domid=made.domid, seconds=1, name="deaf", user="user", uuid=bytes(16))
    equal((answer.error, answer.status), (w.E_PROGRAM, 3))
    s.stop()


# If this failed, a qube could read or change what is dom0's or another qube's.
@case("local a qube sees nothing of dom0 and of other qubes")
def _(t):
    s = System(t)
    s.start()
    s.run("work")
    s.run("vault")
    secret = os.path.join(s.volume("vault"), "home/user/secret")
    s.output("vault", "echo of vault >~/secret")
    check(os.path.exists(secret), "the other qube's file")
    status, _text = s.call("work", f"cat {secret} {s.root}/var/log/qubes/* /etc/machine-id")
    check(status != 0, "files of dom0 can be read")
    equal(s.output("work", "ls /home"), "user")
    check("skerryd" not in s.output("work", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "processes of dom0 are seen")
    equal(s.output("work", "ls /sys/class/net 2>/dev/null | wc -l; tail -n +3 /proc/net/dev | grep -vc lo: || :").split(), ["0", "0"])
    for command in ("unshare -U true", "unshare -r true", "mount -t tmpfs x /mnt", "chroot / true", "mknod ~/n c 1 3",
                    "touch /usr/bin/x", "touch /etc/x", "touch /x", "dmesg", "date -s 2020-01-01", "hostname other"):
        status, text = s.call("work", command)
        check(status != 0, f"{command} is possible: {text}")
    equal(s.output("work", "ls -A /run/vchan"), "broker.sock")
    equal(s.output("work", "cat /proc/self/status | grep -E 'Seccomp:|CapEff|CapBnd|NoNewPrivs' | tr -d '\\t '").split(),
          ["CapEff:0000000000000000", "CapBnd:0000000000000000", "NoNewPrivs:1", "Seccomp:2"])
    s.stop()


# If this failed, a qube would get dom0's files by a link in its private volume.
@case("local a link in the private volume leads nowhere")
def _(t):
    s = System(t)
    s.start()
    for place in ("home", "usrlocal", "config"):
        volume = s.volume("evil-" + place)
        os.symlink("/etc", os.path.join(volume, place))
        failed = s.create("evil-" + place)
        equal((failed.kind, failed.error), (w.FAILED, w.E_GROUND), place)
    s.volume("evil-user")
    os.makedirs(os.path.join(s.volume("evil-user"), "home"))
    os.symlink("/etc", os.path.join(s.volume("evil-user"), "home/user"))
    equal(s.create("evil-user").error, w.E_GROUND)
    equal(s.records(QUBE), {}, "qubes left behind")
    s.stop()


# If this failed, an update of the monitor, or its death, would take every qube with it.
@case("local kill -9 of the monitor: qubes go on and are adopted")
def _(t):
    s = System(t)
    s.start()
    domid = s.run("work")
    paused = s.run("still")
    equal(s.peer.ask(w.PAUSE, domid=paused).kind, w.DONE)
    before = {key: pid for key, (pid, _) in s.records().items()}
    working = s.popen("work", "echo begun; sleep 2; echo finished")
    equal(working.stdout.readline(), b"begun\n")
    s.crash()
    equal(working.communicate(timeout=60)[0], b"finished\n", "a call in flight while no monitor runs")
    rows = {row.domid: row.state for row in s.start()}
    equal(rows, {domid: w.RUNNING, paused: w.PAUSED}, "what the new monitor knows")
    after = {key: pid for key, (pid, _) in s.records().items()}
    for key in ((QUBE, domid), (QUBE, paused), (KEEPER, domid), (DATABASE, domid), (SYSTEM, POLICY)):
        equal(after[key], before[key], f"process of {key}")
    equal(s.output("work", "echo again"), "again")
    equal(s.peer.ask(w.UNPAUSE, domid=paused).kind, w.DONE)
    equal(s.output("still", "echo awake"), "awake")
    third = s.run("third")
    check(third not in (domid, paused), "a number that is in use")
    s.daemon.kill(12)  # SIGUSR2: leave
    equal(s.daemon.wait(output=False), 0)
    equal(len(s.start()), 3, "qubes after a monitor that left")
    equal(s.peer.ask(w.SHUTDOWN, domid=domid).kind, w.DONE)
    equal(s.peer.event(w.STOPPED, domid).cause, w.OFF)
    s.stop()


# If this failed, the death of one process of the system would stop qubes, or leave them unmanageable.
@case("local kill -9 of toolstack, keeper, QubesDB, broker, policy: each comes back, qubes go on")
def _(t):
    s = System(t)
    s.start()
    domid = s.run("work")
    init = s.pid(QUBE, domid)
    for key in ((SYSTEM, TOOLSTACK), (KEEPER, domid), (DATABASE, domid), (SYSTEM, 2), (SYSTEM, POLICY)):
        old = s.records()[key]
        s.kill(old[0])
        wait_for(lambda: s.records().get(key, old) != old, f"a new process of {key}")
        equal(s.pid(QUBE, domid), init, "the qube's first process")
        wait_for(lambda: s.call("work", "echo works")[0] == 0, f"calls after the end of {key}")
    wait_for(lambda: s.peer.ask(w.PAUSE, domid=domid).kind == w.DONE, "the new toolstack pauses it")
    equal(s.peer.ask(w.UNPAUSE, domid=domid).kind, w.DONE)
    # A new qube uses the new broker.
    s.run("second")
    s.stop()


# If this failed, a crash of a qube would look like an orderly end, and its volumes be committed as good.
@case("local how a qube ended is told")
def _(t):
    s = System(t)
    s.start()
    domid = s.run("work")
    s.kill(s.pid(QUBE, domid))
    equal(s.peer.event(w.STOPPED, domid).cause, w.CRASH)
    wait_for(lambda: not s.records(KEEPER), "the keeper ended with its qube")
    domid = s.run("work")
    s.popen("work", "poweroff")
    equal(s.peer.event(w.STOPPED, domid).cause, w.OFF, "ended from inside")
    s.run("work")
    s.stop()


# If this failed, two monitors would fight over the same qubes.
@case("local a second monitor on the same root does not begin")
def _(t):
    s = System(t)
    s.start()
    second = t.start("skerryd")
    equal(second.wait(), 111)
    check(b"another skerryd runs here" in second.stderr, second.stderr)
    s.run("work")
    s.stop()


# If this failed, a process that got a number again would be taken for a qube, and killed.
@case("local records of processes that are no more hurt nobody")
def _(t):
    s = System(t)
    folder = os.path.join(s.root, "run/skerry/records")
    os.makedirs(folder)
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        for kind, domid in ((QUBE, 9), (NETWORK, 9), (SYSTEM, TOOLSTACK), (SYSTEM, POLICY), (KEEPER, 9), (DATABASE, 9), (KEEPER, 12)):
            data = RECORD.pack(0x63657273, kind, domid, victim.pid, 0, start_time(victim.pid) + 7, b"u" * 16, b"old")
            with open(os.path.join(folder, f"{kind}.{domid}"), "wb") as file:
                file.write(data + bytes(96))
        with open(os.path.join(folder, "1.10"), "wb") as file:
            file.write(b"not a record")
        equal(s.start(), [], "qubes")
        equal(victim.poll(), None, "the process that has the number now")
        check(not os.path.exists(os.path.join(folder, "1.9")) and not os.path.exists(os.path.join(folder, "1.10")),
              "stale records stay")
        s.run("work")
        s.stop()
        equal(victim.poll(), None, "the process that has the number now")
    finally:
        victim.kill()
        victim.wait()


# If this failed, a process of the system that was taken over could make the monitor do anything.
@case("local what may not be said ends who says it, not the monitor")
def _(t):
    s = System(t)
    s.start()
    for data in (b"", b"x", struct.pack("<III", 999, 0, 0), w.encode(w.CREATED, 5, 1), w.encode(w.STOPPED, 0, 1, uuid=bytes(16), cause=1),
                 w.encode(w.QUBE, 0, 1, uuid=bytes(16), name="x", state=1), w.encode(w.PAUSE, 1, 1) + b"x", bytes(9000)):
        s.peer.sock.send(data) if data else s.peer.sock.shutdown(socket.SHUT_RDWR)
        try:
            check(s.peer.sock.recv(16384) == b"", "an answer")
        except ConnectionResetError:
            pass
        s.crash()
        s.start()
    s.run("work")
    s.stop()


# If this failed, traffic of a qube would not go through its netvm, or reach what it should not.
@case("local network goes through the netvm, and changes while it runs")
def _(t):
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK) or not os.path.exists("/usr/bin/pasta"):
        raise Skip("no /dev/net/tun or no pasta")
    s = System(t)
    s.start()
    net = s.run("net", flags=w.PROVIDES_NETWORK, ip=0x0a890005)
    work = s.run("work", netvm=net, ip=0x0a890006)
    addresses = lambda name: s.output(name, "cat /proc/net/fib_trie")  # noqa: E731
    wait_for(lambda: "10.137.0.6" in addresses("work"), "the address of work")
    wait_for(lambda: "10.137.0.5" in addresses("net"), "the address of net")
    # A server in the netvm: reached by its address; on its loopback it is not.
    server = ("import socket,sys\ns=socket.socket()\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n"
              "s.bind((sys.argv[1],int(sys.argv[2])))\ns.listen()\n"
              "while 1:\n c,a=s.accept()\n c.sendall(b'hello '+a[0].encode())\n c.close()\n")
    with open(os.path.join(s.volume("net"), "home/user/server.py"), "w", encoding="ascii") as file:
        file.write(server)
    s.output("net", "for a in '10.137.0.5 7001' '127.0.0.1 7002'; do (python3 ~/server.py $a >/dev/null 2>&1 &) ; done; sleep 0.3")
    client = "timeout 5 bash -c 'cat </dev/tcp/%s'"
    wait_for(lambda: s.call("net", client % "10.137.0.5/7001")[0] == 0, "the server")
    wait_for(lambda: s.call("work", client % "10.137.0.5/7001") == (0, "hello 10.137.0.5"), "work reaches its netvm")
    check(s.call("work", client % "127.0.0.1/7002")[0] != 0, "loopback of the netvm is reached")
    check(s.call("work", client % "10.137.0.5/7002")[0] != 0, "a service on the netvm's loopback is reached")
    equal(s.peer.ask(w.NETWORK, domid=work, netvm=0, ip=0).kind, w.DONE)
    equal(s.output("work", "tail -n +3 /proc/net/dev | grep -vc lo: || :"), "0", "devices after it was cut off")
    equal(s.peer.ask(w.NETWORK, domid=work, netvm=net, ip=0x0a890006).kind, w.DONE)
    wait_for(lambda: s.call("work", client % "10.137.0.5/7001")[0] == 0, "work is connected again")
    # A new toolstack can still change it.
    s.kill(s.pid(SYSTEM, TOOLSTACK))
    wait_for(lambda: s.peer.ask(w.NETWORK, domid=work, netvm=0, ip=0).kind == w.DONE, "cut off by a new toolstack")
    wait_for(lambda: s.peer.ask(w.NETWORK, domid=work, netvm=net, ip=0x0a890006).kind == w.DONE, "connected by a new toolstack")
    # The end of the netvm cuts it off.
    equal(s.peer.ask(w.DESTROY, domid=net).kind, w.DONE)
    wait_for(lambda: s.output("work", "tail -n +3 /proc/net/dev | grep -vc lo: || :") == "0", "no device without a netvm")
    equal(s.peer.ask(w.NETWORK, domid=work, netvm=net, ip=0).error, w.E_NETWORK)
    s.stop()


# If this failed, services that the admin service calls could hang it, or what they say reach it.
@case("local CALL: status, input, limit of time")
def _(t):
    s = System(t)
    s.start()
    s.run("work")
    call = lambda service, data=b"", ms=20000: s.peer.ask(w.CALL, name="work", user="user", service=service, source="dom0",  # noqa: E731
                                                            timeout_ms=ms, input_len=len(data), input=data)
    equal(call("qubes.VMShell", b"exit 7\n").status, 7)
    equal(call("qubes.VMShell", b"echo said >~/said; yes | head -c 1000000\n").status, 0)
    equal(s.output("work", "cat ~/said"), "said")
    equal(call("test.NoSuchService").status, 127)
    equal(call("qubes.VMShell", b"sleep 100\n", 300).error, w.E_TIMEOUT)
    s.stop()


if __name__ == "__main__":
    main()
