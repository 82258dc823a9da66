# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, calls between real qubes, through every real program at once, would not work.
"""End to end: two qubes, dom0 and the policy service, all real, on both transports."""

import hashlib
import subprocess
import threading

from harness import *
from two_qubes import BULK, POLICY, done, popen_call, start

def both(name):
    """A case for each transport."""
    def register(function):
        for transport in ("socket", "memfd"):
            def run(t, transport=transport):
                sut = start(t, transport)
                try:
                    function(t, sut)
                except Exception:
                    for path in sorted(glob.glob(sut.path("var/log/qubes/*"))):
                        with open(path, "rb") as file:
                            print("# " + path + "\n# " + file.read()[-2000:].decode(
                                errors="replace").replace("\n", "\n# "))
                    raise
                done(t)
            case(f"{name}, {transport}")(run)
        return function
    return register


# If this failed, an allowed call would not arrive, or a refused one would not be seen as refused.
@both("qrexec-102 allowed and refused calls of a qube")
def _(t, sut):
    result = sut.call("vma", "vmb", "test.Ok")
    equal((result.returncode, result.stdout, result.stderr), (0, b"ok from vmb\n", b""))
    for target in ("dom0", "@adminvm", "$adminvm"):
        result = sut.call("vma", target, "test.Ok")
        equal((result.returncode, result.stdout), (0, b"ok from dom0\n"), target)
    for target, service in (("vmb", "test.Refused"), ("nowhere", "test.Ok"), ("", "test.Ok"),
                            ("vma", "test.Ok"), ("vmb", "test.Unlisted")):
        result = sut.call("vma", target, service)
        equal((result.returncode, result.stdout, result.stderr),
              (REFUSED, b"", b"Request refused\n"), f"{service} to '{target}'")
    result = sut.call("vmb", "", "test.Ok")
    equal((result.returncode, result.stdout), (0, b"ok from vma\n"), "@default with target=")


# If this failed, the confined prompter could not reach a GUI domain that is a qube.
@both("a prompt in the caller's GUI domain, which is a qube")
def _(t, sut):
    sut.service("vmb", "test.Asked", "#!/bin/sh\necho asked\n")
    answer = sut.service("vmb", "policy.Ask", "#!/bin/sh\ncat >/dev/null\nprintf allow:vmb\n")
    sut.qubes["vma"].guivm = "vmb"
    sut.describe()
    sut.write("etc/qubes/policy.d/30-user.policy", "test.Asked * vma vmb ask\n" + POLICY)
    wait_for(lambda: sut.call("vma", "vmb", "test.Asked").stdout == b"asked\n", "a call that was asked for")
    with open(answer, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\ncat >/dev/null\nprintf deny\n")
    equal(sut.call("vma", "vmb", "test.Asked").returncode, REFUSED)


# If this failed, a service's exit status or its complaint would be lost on the way.
@both("exit status and standard error arrive")
def _(t, sut):
    for code in (0, 1, 42, 255):
        result = sut.call("vma", "vmb", f"test.Exit+{code}")
        equal((result.returncode, result.stdout), (code, b""))
        check(b"complaint" in result.stderr, result.stderr)
    equal(sut.call("vma", "vmb", "test.Cat+x", b"text").stdout, b"text")


# If this failed, dom0's tools would reach the wrong qube, or run commands as the wrong user.
@both("qrexec-103 the ways to name a qube from dom0")
def _(t, sut):
    for name in ("vmb", "2", "uuid:" + sut.qubes["vmb"].uuid):
        result = sut.call(None, name, "DEFAULT:QUBESRPC test.Ok dom0")
        equal((result.returncode, result.stdout), (0, b"ok from vmb\n"), name)
    result = sut.call(None, "vmb", "DEFAULT:id -un")
    equal((result.returncode, result.stdout.decode()), (0, sut.account.pw_name + "\n"))
    equal(sut.call(None, "vmb", "DEFAULT:exit 7").returncode, 7)


# If this failed, a large file would arrive cut or changed.
@both("qrexec-104 bulk data arrives complete")
def _(t, sut):
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    call = popen_call(sut, "vma", "vmb", "test.Sum")
    for i in range(BULK >> 20):
        piece = i.to_bytes(8, "little") + block[8:]
        digest.update(piece)
        call.stdin.write(piece)
    call.stdin.close()
    equal(call.stdout.read().decode().strip(), digest.hexdigest(), "upload")
    equal(call.wait(), 0)
    call = popen_call(sut, "vma", "vmb", "test.Source")
    call.stdin.close()
    got = 0
    while part := call.stdout.read(1 << 20):
        got += len(part)
        check(not part.strip(b"\0"), "downloaded bytes are zero, as sent")
    equal((got, call.wait()), (BULK, 0), "download")


# If this failed, an echo of more than the channel holds would stand still.
@both("echo of 64 MiB, both directions at once")
def _(t, sut):
    block = os.urandom(1 << 20)
    for target in ("vmb", "dom0"):
        call = popen_call(sut, "vma", target, "test.Cat")
        feeder = threading.Thread(target=lambda: ([call.stdin.write(block) for _ in range(64)],
                                                  call.stdin.close()))
        feeder.start()
        data = call.stdout.read()
        feeder.join()
        equal((call.wait(), len(data)), (0, 64 << 20), target)
        check(data == block * 64, "the bytes are the same")


# If this failed, tools that copy files would print to the service instead of to the user.
@both("qrexec-105 a local program speaks with the service")
def _(t, sut):
    program_path = t.script("local", "echo to the service\nread answer\n"
                                     "echo \"heard $answer\" >&\"$SAVED_FD_1\"\n"
                                     "test -n \"$QREXEC_AGENT_PID\" || exit 9\n")
    result = sut.popen(sut.client_vm("vma", "vmb", "test.Cat", program_path), qube="vma",
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    equal(result.stdout.read(), b"heard to the service\n")
    equal(result.wait(), 0)


# If this failed, one busy qube would keep others from calling.
@both("100 calls held open at once, and one more")
def _(t, sut):
    held = [popen_call(sut, "vma", "vmb", "test.Hold") for _ in range(100)]
    for number, call in enumerate(held):
        line = call.stdout.readline()
        check(line == b"started\n", f"call {number}: {line!r}, status {call.poll()}")
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0)
    for call in held:
        call.stdin.close()
    for call in held:
        equal(call.wait(), 0)


# If this failed, a policy service that ended would leave calls allowed, or refused for ever.
@both("the policy service ends and comes back")
def _(t, sut):
    sut.policy.kill()
    sut.policy.wait()
    equal(sut.call("vma", "vmb", "test.Ok").returncode, REFUSED, "without a policy service")
    sut.start_policy()
    wait_for(lambda: sut.call("vma", "vmb", "test.Ok").returncode == 0, "calls after its return")


# If this failed, an edited policy would take effect only after a restart.
@both("a changed policy decides the next call; a broken one refuses everything")
def _(t, sut):
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0)
    name = "etc/qubes/policy.d/30-user.policy"
    sut.write(name, "* * @anyvm @anyvm deny notify=no\n")
    equal(sut.call("vma", "vmb", "test.Ok").returncode, REFUSED, "after the change")
    sut.write(name, POLICY)
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0, "after the change back")
    sut.write(name, POLICY + "this is no rule\n")
    equal(sut.call("vma", "vmb", "test.Ok").returncode, REFUSED, "broken policy")
    sut.write(name, POLICY)
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0, "mended policy")


# If this failed, a crashed daemon or agent would need a restart of everything.
@both("daemon and agent end and come back")
def _(t, sut):
    for _ in range(3):
        daemon = sut.qubes["vmb"].daemon
        daemon.kill()
        daemon.wait()
        for link in glob.glob(sut.path("run/qubes/qrexec.vmb")):
            os.unlink(link)
        equal(sut.call("vma", "vmb", "test.Ok").returncode, REFUSED, "without the target's daemon")
        equal(sut.call("vma", "dom0", "test.Ok").returncode, 0, "another call meanwhile")
        agent = sut.qubes["vmb"].agent
        if agent.poll() is None:
            agent.kill()
        agent.wait()
        sut.start_agent("vmb")
        sut.start_daemon("vmb")
        equal(sut.call("vma", "vmb", "test.Ok").stdout, b"ok from vmb\n")



# If this failed, a script that calls a service could not tell its failures apart.
@both("exit statuses: not found, cannot run, killed, only started")
def _(t, sut):
    sut.write("q/vmb/etc/qubes-rpc/test.Cat+broken", b"\0\1", 0o755)
    sut.service("vmb", "test.Cat+kill", "#!/bin/sh\nkill -TERM $$\n")
    equal(sut.call("vma", "vmb", "test.Cat+broken").returncode, PROBLEM)
    equal(sut.call("vma", "vmb", "test.Cat+kill").returncode, 143)
    equal(sut.call("vma", "vmb", "test.Missing").returncode, NOT_FOUND)
    equal(sut.call(None, "vmb", "DEFAULT:kill -9 $$").returncode, 137)
    name = sut.inside("vmb", "home/user/started")
    for command, code in ((f"DEFAULT:touch {name}", 0),
                          ("DEFAULT:QUBESRPC test.Missing dom0", NOT_FOUND)):
        call = sut.popen([sut.program("qrexec-client"), "-e", "-d", "vmb", command])
        equal(call.wait(), code, command)
    wait_for(lambda: os.path.exists(name), "the command that was only started")


# If this failed, what must come first would come late, changed, or cut.
@both("prefix data, filters, and the largest name")
def _(t, sut):
    def run(*words):
        return sut.popen([sut.program("qrexec-client-vm"), *words], qube="vma",
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    call = run("-p", "first\n", "vmb", "test.Cat")
    equal((call.stdout.read(), call.wait()), (b"first\n", 0))
    call = run("-t", "-p", "a\x1b[1mb\n", "vmb", "test.Cat")
    equal((call.stdout.read(), call.wait()), (b"a_[1mb\n", 0))
    argument = "a" * (NAME_MAX - 1 - len("test.Name+"))
    call = run("vmb", "test.Name+" + argument)
    equal((call.stdout.read(), call.wait()), (f"{len(argument)}\n".encode(), 0))


# If this failed, a program that answers on its standard input would not be heard.
@both("SIGUSR1 turns a local program's input into its output")
def _(t, sut):
    program_path = t.script("local", "kill -USR1 $QREXEC_AGENT_PID\necho by the input >&0\n"
                                     "read answer\necho \"$answer\" >&\"$SAVED_FD_1\"\n")
    call = sut.popen(sut.client_vm("vma", "vmb", "test.Line", program_path), qube="vma",
                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    equal((call.stdout.read(), call.wait()), (b"by the input\n", 0))


# If this failed, services that keep running would not be reached, or lose the end of a request.
@both("socket and TCP services, each direction closed on its own")
def _(t, sut):
    seen = []

    def serve(listener):
        while True:
            try:
                channel = Channel(listener.accept()[0])
            except OSError:
                return
            request = channel.recv_to_eof()
            seen.append(request)
            channel.send(b"got " + str(len(request)).encode())
            channel.close()
    unix = socket.socket(socket.AF_UNIX)
    path = sut.inside("vmb", "etc/qubes-rpc/test.Socket")
    unix.bind(path)
    os.chmod(path, 0o777)
    tcp = socket.create_server(("127.0.0.1", 0))
    os.symlink(f"/dev/tcp/127.0.0.1/{tcp.getsockname()[1]}",
               sut.inside("vmb", "etc/qubes-rpc/test.Tcp"))
    for listener in (unix, tcp):
        listener.listen(16)
        t.own(listener)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    body = os.urandom(300000)
    for name in ("test.Socket", "test.Tcp"):
        header = f"{name}+ vma\0".encode()
        result = sut.call("vma", "vmb", name, body)
        equal((result.returncode, result.stdout),
              (0, b"got " + str(len(header) + len(body)).encode()), name)
        check(seen[-1] == header + body, f"{name}: what arrived")


# If this failed, nobody could see where a call's time went: the policy's part, or the qube's.
@case("skerry trace: stages of the policy service in dom0, of the service in its qube")
def _(t):
    sut = start(t, "socket", trace=True)
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0)
    for qube, stages in ((None, (b"policy asked", b"policy decided", b"port known")),
                         ("vmb", (b"service started", b"first byte", b"exit code sent"))):
        shown = subprocess.run([sut.program("skerry"), "trace"], env=sut.env(qube), timeout=20,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        for stage in stages:
            check(stage in shown.stdout, shown.stdout.decode())
    done(t)


if __name__ == "__main__":
    main()
