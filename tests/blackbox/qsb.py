# SPDX-License-Identifier: GPL-2.0-or-later
# If one of these failed, a hole that Qubes OS has already had once would be open here.
"""The security bulletins that concern calls between qubes, each as a test under its number.

010 is in tests/unit/lib/vchan/ring.c and scribble.c."""

from agent_peer import Dom0
from daemon_common import *
from two_qubes import POLICY, done, start

# What a shell, a format string, a terminal or a path would take for more than a letter.
SHARP = ("$", "$(id)", ";", "\n", "`id`", '"', "'", "\\", "*", "(", ")", "&", "|", "%s", "~", "#", "<", ">",
         "{a,b}", "[a]", "!", "?", "=", "\t", "\r", "\x1b[31m", "\x7f", "\x80", "\xff", "é")
NAME_LEGAL = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+"


def after_nul(field):
    return field[field.index(b"\0"):].strip(b"\0")


# If this failed, bytes of a trusted program's memory would reach a qube behind a short name.
@case("qsb-009 fixed fields that programs write hold nothing behind their end")
def _(t):
    listener = t.listen(t.path("front.sock"))
    client = t.start("qrexec-client-vm", "-a", listener.path, "-s", "far", "t", "svc",
                     env={"VCHAN_DOMAIN": "42"})
    lease = listener.accept()
    kind, body = lease.recv_message()
    equal((kind, body), (TRIGGER_SERVICE4, pack_trigger4("svc", "t", "SOCKET", "far")))
    lease.close()
    equal(client.wait(), REFUSED)
    dom0 = Dom0(t)
    local = t.connect(t.path("agent.sock"))
    local.send_message(TRIGGER_SERVICE4, pack_trigger4("svc", "t", "SOCKET", "far"))
    kind, body = dom0.control.recv_message()
    equal((kind, len(body)), (TRIGGER_SERVICE4, 164))
    equal([after_nul(body[at:at + size]) for at, size in ((0, 64), (64, 64), (128, 32))], [b""] * 3)


# If this failed, the daemon would show one qube what another one had sent before it.
@case("qsb-009 what the daemon sends holds nothing of an earlier message")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("secret" * 1000, "s" * 63, "s" * 31, "s" * 63))
    d.agent.expect(SERVICE_REFUSED, b"s" * 31 + b"\0")
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "t", "x"))
    d.agent.expect(SERVICE_REFUSED, b"x".ljust(32, b"\0"))
    client = d.client()
    client.send_message(JUST_EXEC, pack_exec(0, 0, "u:x"))
    client.expect(JUST_EXEC, pack_exec(42, 513))
    d.agent.expect(JUST_EXEC, pack_exec(0, 513, "u:x"))


# If this failed, a name that a qube chose could run a command in dom0.
@case("qsb-038 names from a qube: policy and program get words of legal letters")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1))
    for text in SHARP:
        raw_text = text.encode("utf-8" if text == "é" else "latin-1")
        name, target = b"svc+" + raw_text + b"z", raw_text + b"t"
        d.agent.send_message(TRIGGER_SERVICE4,
                             bytes(64) + target.ljust(64, b"\0") + b"SOCKET42".ljust(32, b"\0") +
                             name + b"\0")
        d.agent.expect(SERVICE_REFUSED, b"SOCKET42".ljust(32, b"\0"))
        dashes, source, seen_target, seen_name = policy_asked(t)[-1].split(" ")
        equal((dashes, source), ("--", "domain_name"))
        equal(len(seen_name), len(name), f"{text!r}: a byte for a byte")
        check(set(seen_name.encode()) <= set(NAME_LEGAL), f"{text!r} became {seen_name}")
        check(set(seen_target.encode()) <= set(NAME_LEGAL + b"@:"), f"{text!r} became {seen_target}")
    equal(len(policy_asked(t)), len(SHARP), "one line of words for each call")


# If this failed, an argument would be taken for a command somewhere between two qubes.
@case("qsb-038 arguments reach the service as data, end to end")
def _(t):
    sut = start(t, "socket", policy="test.Arg * vma vmb allow\n" + POLICY)
    sut.service("vmb", "test.Arg", "#!/bin/sh\nprintf '%s|%s' \"$1\" \"$QREXEC_SERVICE_FULL_NAME\"\n")
    for text in SHARP:
        name = "test.Arg+" + text + "z"
        result = sut.call("vma", "vmb", name)
        raw_name = os.fsencode(name)
        wanted = bytes(byte if byte in NAME_LEGAL else ord("_") for byte in raw_name)
        equal((result.returncode, result.stdout), (0, wanted[len("test.Arg+"):] + b"|" + wanted), repr(text))
        if any(byte in raw_name for byte in b" \n\0"):
            continue
        result = sut.call(None, "vmb", f"DEFAULT:QUBESRPC {name} dom0")     # dom0 may use any letter
        if result.returncode == 0:
            equal(result.stdout, raw_name[len("test.Arg+"):] + b"|" + raw_name, repr(text))
        else:
            equal((result.returncode, result.stdout), (PROBLEM, b""), repr(text))
    done(t)


# If this failed, a caller could write to the terminal or the log of the qube that serves it.
@case("qsb-087 STDERR and EXIT_CODE from the calling side are not shown and change nothing")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:cat")
    channel.send_message(DATA_STDERR, b"\x1b[31mraw\x07")
    channel.send_message(DATA_EXIT_CODE, pack_exit(9))
    channel.send_message(DATA_STDIN, b"data")
    channel.expect(DATA_STDOUT, b"data")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0)
    for output in (dom0.agent.stdout, dom0.agent.stderr):
        check(b"\x1b" not in output and b"raw" not in output, output)


# If this failed, a qube could tell its daemon what only the daemon may tell the qube.
@case("qsb-087 messages of the wrong direction end the control channel")
def _(t):
    d = Daemon(t, program=policy_program(t), options=())
    for kind, body in ((EXEC_CMDLINE, pack_exec(0, 513, "u:x")), (JUST_EXEC, pack_exec(0, 513, "u:x")),
                       (SERVICE_CONNECT, pack_exec(0, 513, "SOCKET1")), (SERVICE_REFUSED, bytes(32)),
                       (DATA_STDERR, b"x"), (HELLO, pack_hello(4))):
        wait_for(lambda: os.path.exists(d.path), "local socket")
        d.new_server()
        send_broken(d.agent, kind, body)
        d.agent.expect_eof()
        d.greet()
    equal(policy_asked(t), [])


# If this failed, a qube could write into dom0's log what a terminal obeys.
@case("qsb-087 what a qube says reaches the log without control characters")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1))
    for ident, name in ((b"\x1b[31m", b"svc"), (b"SOCKET1", b"+\x1b]0;x\x07"), (b"SOCKET1", b"a\x1b\xc2\x9b")):
        d.agent.send_message(TRIGGER_SERVICE4, bytes(64) + b"\x1b[1m".ljust(64, b"\0") +
                             ident.ljust(32, b"\0") + name + b"\0")
        d.agent.expect(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    equal(d.program.stop(), 0)
    check(d.program.stderr, "something was logged")
    strange = set(d.program.stderr) - set(range(0x20, 0x7f)) - {0x0a}
    equal(strange, set(), "bytes in the log")


# If this failed, a length at the edge would read or write a byte beyond a message.
@case("qsb-089 lengths at each edge of each message of variable length")
def _(t):
    top = 65000
    for version, kind, head in ((3, TRIGGER_SERVICE3, 96), (4, TRIGGER_SERVICE3, 96),
                                (4, TRIGGER_SERVICE4, 160)):
        d = Daemon(t, program=policy_program(t, status=1), version=version)
        fixed = (bytes(64) if head == 160 else b"") + b"t".ljust(64, b"\0") + b"X".ljust(32, b"\0")
        for name, asked in ((b"\0", False), (b"a", False), (b"a\0", True), (b"a" * (top - 1) + b"\0", True),
                            (b"a" * top, False)):
            before = len(policy_asked(t))
            d.agent.send_message(kind, fixed + name)
            d.agent.expect(SERVICE_REFUSED, b"X".ljust(32, b"\0"))
            equal(len(policy_asked(t)) - before, asked, f"{kind:#x}, a name of {len(name)}")
        for length in (0, 1, head - 1, head, head + top + 1, 0x7fffffff, 0xffffffff):
            wait_for(lambda: os.path.exists(d.path), "local socket")
            d.new_server()
            try:
                d.agent.send(pack_header(kind, length) + (fixed + b"a\0")[:min(length, head)])
            except OSError:
                pass
            d.agent.expect_eof()
            d.greet(version)
        equal(d.program.stop(), 0)
        d.server.close()


# If this failed, a service would tell who asks more than its specification says.
@case("qsb-099 every answer of policy and daemon, byte for byte")
def _(t):
    sut = start(t, "socket")

    def ask(text):
        channel = t.connect(sut.path("run/qubes/policy.sock"))
        channel.send(text)
        return channel.recv_to_eof()
    question = b"source=vma\nintended_target=%s\nservice_and_arg=%s+\n\n"
    uuid = sut.qubes["vmb"].uuid.encode()
    equal(ask(question % (b"vmb", b"test.Ok")),
          b"user=DEFAULT\nresult=allow\ntarget=vmb\ntarget_uuid=uuid:" + uuid +
          b"\nautostart=True\nrequested_target=vmb")
    for target, service in ((b"vmb", b"test.Refused"), (b"nowhere", b"test.Ok"), (b"vmb", b"test.No")):
        equal(ask(question % (target, service)), b"result=deny")
    for bad in (b"\n", b"x\n\n", b"source=vma\n\n", question % (b"v\xc3", b"a"), b"source=vma\n" * 2 + b"\n"):
        equal(ask(bad), b"", bad)
    for target, service in (("vmb", "test.Refused"), ("nowhere", "test.Ok"), ("vmb", "test.No")):
        result = sut.call("vma", target, service)
        equal((result.returncode, result.stdout, result.stderr), (REFUSED, b"", b"Request refused\n"))
    result = sut.call("vma", "vmb", "test.Ok")
    equal((result.returncode, result.stdout, result.stderr), (0, b"ok from vmb\n", b""))
    done(t)


if __name__ == "__main__":
    main()
