# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance cases 1 to 37 of doc/protocol/qrexec.md: the daemon."""

import os
import struct
import threading

from daemon_common import *

IDENT = b"SOCKET42".ljust(32, b"\0")
SERVICE = "qubes.ForbiddenServiceName"


def refused(agent, ident=IDENT):
    agent.expect(SERVICE_REFUSED, ident)


# If this failed, no agent could ever connect to its daemon.
@case("qrexec-001 the agent's HELLO is answered")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1), hello=False)
    d.agent.send_message(HELLO, pack_hello(4))
    equal(d.agent.recv_message(), (HELLO, pack_hello(4)))


# If this failed, a refused call would hang, or policy would be asked about something else.
@case("qrexec-002 a denied call is refused, policy saw the right words")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n", status=1))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", "SOCKET42"))
    refused(d.agent)
    equal(policy_asked(t), [f"-- domain_name target_domain {SERVICE}"])


# If these failed, a qube could put control bytes where the agent or a log takes them for text.
@case("qrexec-003 an ident of control characters is refused, policy not asked")
def _(t):
    d = Daemon(t, program=policy_program(t))
    ident = b"\1\2\3".ljust(32, b"\0")
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", ident))
    refused(d.agent, ident)
    equal(policy_asked(t), [])


@case("qrexec-004 an empty ident is legal")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n", status=1))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", b""))
    refused(d.agent, bytes(32))
    equal(len(policy_asked(t)), 1)


@case("qrexec-005 an ident with bytes after its NUL is refused with the same bytes")
def _(t):
    d = Daemon(t, program=policy_program(t))
    ident = b"a\0b".ljust(32, b"\0")
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", ident))
    refused(d.agent, ident)
    equal(policy_asked(t), [])


# If these failed, calls without a service name would reach policy (QSB-089 began so).
@case("qrexec-006 protocol 2: empty names and names that begin with + are refused")
def _(t):
    d = Daemon(t, program=policy_program(t), version=2)
    ident = b"ab".ljust(32, b"\0")
    for name in (b"\0", b"", b"\0a", b"\0+a", b"+", b"+a"):
        d.agent.send_message(TRIGGER_SERVICE, pack_trigger2(name, "target_domain", "ab"))
        refused(d.agent, ident)
    equal(policy_asked(t), [])
    check(d.program.running(), "daemon alive")


@case("qrexec-007 a name without NUL is refused")
def _(t):
    d = Daemon(t, program=policy_program(t))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(b"a", "target_domain", "SOCKET42"))
    refused(d.agent)
    equal(policy_asked(t), [])


@case("qrexec-008 names that are empty, hold a NUL or begin with + are refused")
def _(t):
    d = Daemon(t, program=policy_program(t))
    for name in (b"\0", b"", b"a\0", b"\0a", b"\0+a", b"+", b"+a", b"a\0a"):
        d.agent.send_message(TRIGGER_SERVICE4,
                             pack_trigger4(name + b"\0", "target_domain", "SOCKET42"))
        refused(d.agent)
    equal(policy_asked(t), [])
    check(d.program.running(), "daemon alive")


# If this failed, an allowed call would never reach its target.
@case("qrexec-009 an allowed call reaches the target's agent")
def _(t):
    program = policy_program(t, ALLOW.format(target="domain_name"), seconds=1)
    d = Daemon(t, program=program)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "domain_name", "SOCKET42"))
    d.agent.expect(EXEC_CMDLINE, pack_exec(42, 513, "toto:QUBESRPC a+ domain_name"))
    d.agent.expect(SERVICE_CONNECT, struct.pack("<II", 42, 513) + IDENT)


# If this failed, a short message could be read beyond its end (QSB-089).
@case("qrexec-010 a TRIGGER4 of 96 bytes ends the channel and the daemon")
def _(t):
    d = Daemon(t, program=policy_program(t))
    d.agent.send_message(TRIGGER_SERVICE4, field("target_domain", 64) + IDENT)
    d.agent.expect_eof()
    equal(d.program.wait(), 1)
    equal(policy_asked(t), [])


# If this failed, no dom0 tool could call into a qube.
@case("qrexec-011 a local client is greeted")
def _(t):
    d = Daemon(t, program=policy_program(t))
    client = t.connect(d.path)
    equal(client.recv_message(), (HELLO, pack_hello(3)))
    client.send_message(HELLO, pack_hello(3))
    client.quiet()


# If these failed, a qube whose agent restarts would lose qrexec until its next boot.
@case("qrexec-012 the agent restarts")
def _(t):
    d = Daemon(t, program=policy_program(t))
    wait_for(lambda: os.path.exists(t.path("qrexec.domain_name")), "name")
    check(os.path.exists(t.path("qrexec.uuid:" + UUID)), "uuid")
    equal(os.readlink(t.path("qrexec.domain_name")), "qrexec.42")
    d.new_server()
    d.agent.close()
    d.gone()
    d.greet()
    d.client().quiet()


@case("qrexec-013 SIGTERM while there is no agent")
def _(t):
    d = Daemon(t, program=policy_program(t))
    d.server.close()
    d.agent.close()
    d.gone()
    equal(d.program.stop(), 0)


# If these failed, calls of dom0 would carry another command or collide on a port.
@case("qrexec-014 JUST_EXEC gets a port and is forwarded")
def _(t):
    d = Daemon(t, program=policy_program(t))
    client = d.client()
    client.send_message(JUST_EXEC, pack_exec(0, 0, "user:echo Hello world"))
    client.expect(JUST_EXEC, pack_exec(42, 513))
    d.agent.expect(JUST_EXEC, pack_exec(0, 513, "user:echo Hello world"))


def just_exec(d, domain, port):
    client = d.client()
    client.send_message(JUST_EXEC, pack_exec(domain, 0, "user:x"))
    client.expect(JUST_EXEC, pack_exec(42, port))
    d.agent.expect(JUST_EXEC, pack_exec(domain, port, "user:x"))
    return client


@case("qrexec-015 two peers get two ports")
def _(t):
    d = Daemon(t, program=policy_program(t))
    just_exec(d, 43, 514)
    just_exec(d, 44, 516)


@case("qrexec-016 a port that came back serves another peer at once")
def _(t):
    d = Daemon(t, program=policy_program(t))
    client = just_exec(d, 43, 514)
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(43, 514))
    client.expect_eof()
    just_exec(d, 44, 514)


# If these failed, qrexec-client -c could not finish a call, or could answer one twice.
@case("qrexec-017 SERVICE_CONNECT of a local client is forwarded")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1, seconds=1))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", "SOCKET11"))
    wait_for(lambda: policy_asked(t), "policy asked")
    body = pack_exec(43, 513, "SOCKET11")
    d.client().send_message(SERVICE_CONNECT, body)
    d.agent.expect(SERVICE_CONNECT, body)


@case("qrexec-018 SERVICE_CONNECT that nobody asked for closes the client")
def _(t):
    d = Daemon(t, program=policy_program(t))
    client = d.client()
    client.send_message(SERVICE_CONNECT, pack_exec(43, 513, "SOCKET11"))
    client.expect_eof()
    d.agent.quiet()


@case("qrexec-019 a second SERVICE_CONNECT for one request closes the client")
def _(t):
    d = Daemon(t, program=policy_program(t, status=1, seconds=1))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", "SOCKET11"))
    wait_for(lambda: policy_asked(t), "policy asked")
    body = pack_exec(43, 513, "SOCKET11")
    d.client().send_message(SERVICE_CONNECT, body)
    d.agent.expect(SERVICE_CONNECT, body)
    second = d.client()
    second.send_message(SERVICE_CONNECT, body)
    second.expect_eof()
    d.agent.quiet(1.5)      # and no refusal when the program says no


# If this failed, qubesd would wait for ever for a qube whose agent is not one.
@case("qrexec-020 a HELLO that is none ends the daemon")
def _(t):
    for kind, body in ((HELLO, pack_hello(0)), (HELLO, pack_hello(1)), (0x301, pack_hello(4)),
                       (HELLO, b""), (HELLO, bytes(8))):
        d = Daemon(t, program=policy_program(t), hello=False)
        d.agent.send_message(kind, body)
        equal(d.program.wait(), 1, f"{kind:#x} {body}")
        check(not os.path.lexists(d.path), "no socket")
        d.server.close()


# If this failed, an agent that is started again while its qube starts would cost the qube its start.
@case("daemon an agent that closes before its HELLO is no reason to end: the next one is served")
def _(t):
    d = Daemon(t, program=policy_program(t), hello=False)
    for _ in range(3):
        first, d.agent = d.agent, None
        d.new_server()
        first.close()
        d.greet(hello=False)
    d.agent.send_message(HELLO, pack_hello())
    d.agent.recv_hello()
    d.client().quiet()


# If this failed, a newer agent could not work with this daemon.
@case("qrexec-021 an agent of version 99")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"), hello=False)
    d.agent.send_message(HELLO, pack_hello(99))
    check(2 <= d.agent.recv_hello() <= 99, "version that a real agent accepts")
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET42"))
    refused(d.agent)


BROKEN = [
    (4, 0x999, b""), (4, HELLO, pack_hello()), (4, EXEC_CMDLINE, pack_exec(0, 513, "x")),
    (4, JUST_EXEC, pack_exec(0, 513, "x")), (4, SERVICE_CONNECT, pack_exec(0, 513, "x")),
    (4, SERVICE_REFUSED, IDENT), (4, TRIGGER_SERVICE, pack_trigger2("a", "b", "c")),
    (3, TRIGGER_SERVICE4, pack_trigger4("a", "b", "c")),
    (2, TRIGGER_SERVICE3, pack_trigger3("a", "b", "c")),
    (2, TRIGGER_SERVICE, bytes(127)), (2, TRIGGER_SERVICE, bytes(129)),
    (4, TRIGGER_SERVICE4, bytes(160)), (4, TRIGGER_SERVICE4, bytes(0)),
    (4, TRIGGER_SERVICE3, bytes(96)),
    (4, TRIGGER_SERVICE4, pack_trigger4(b"a" * 65000 + b"\0", "b", "c")),
    (4, TRIGGER_SERVICE3, pack_trigger3(b"a" * 65000 + b"\0", "b", "c")),
    (4, CONNECTION_TERMINATED, bytes(12)), (4, CONNECTION_TERMINATED, bytes(4)),
    (4, CONNECTION_TERMINATED, pack_exec(43, 512)),
    (4, CONNECTION_TERMINATED, pack_exec(43, 769)),
]


# If this failed, one bad message would cost a qube its qrexec until the next boot.
@case("qrexec-022 what an agent may not send ends the connection, a new agent is served")
def _(t):
    d = Daemon(t, program=policy_program(t), version=BROKEN[0][0])
    for i, (_, kind, body) in enumerate(BROKEN):
        d.new_server()
        send_broken(d.agent, kind, body)
        d.agent.expect_eof()
        d.greet(BROKEN[(i + 1) % len(BROKEN)][0])
        wait_for(lambda: os.path.exists(d.path), "socket")
    d.client().quiet(0.05)
    equal(policy_asked(t), [])


@case("qrexec-023 the end of a connection that is not known is ignored")
def _(t):
    d = Daemon(t, program=policy_program(t))
    for port in (513, 768):
        d.agent.send_message(CONNECTION_TERMINATED, pack_exec(43, port))
    just_exec(d, 43, 514)


@case("qrexec-024 TRIGGER3 of a version 4 agent")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"))
    d.agent.send_message(TRIGGER_SERVICE3, pack_trigger3("svc+a", "b", "SOCKET42"))
    refused(d.agent)
    equal(policy_asked(t), ["-- domain_name b svc+a"])


# If these failed, characters that mean something to a shell or a log could come from a qube.
@case("qrexec-025 protocol 2 names and targets are sanitised")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"), version=2)
    d.agent.send_message(TRIGGER_SERVICE, pack_trigger2("svc+a$b", "$t;x", "SOCKET42"))
    refused(d.agent)
    equal(policy_asked(t), ["-- domain_name _t_x svc+a_b"])


@case("qrexec-026 names and targets are sanitised")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"))
    d.agent.send_message(TRIGGER_SERVICE4,
                         pack_trigger4(b"svc+a b$c\xff/..\0", "@disp:v m/", "SOCKET42"))
    refused(d.agent)
    equal(policy_asked(t), ["-- domain_name @disp:v_m_ svc+a_b_c__.."])


@case("qrexec-027 fields without NUL")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"))
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", b"t" * 64, "SOCKET42"))
    refused(d.agent)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", b"i" * 32))
    refused(d.agent, b"i" * 32)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", b"i" * 31))
    refused(d.agent, b"i" * 31 + b"\0")
    equal(policy_asked(t), ["-- domain_name " + "t" * 63 + " a", "-- domain_name b a"])


# If this failed, one long name would stop all calls of dom0 into that qube.
@case("qrexec-028 a name of 65000 bytes, in pieces")
def _(t):
    d = Daemon(t, program=policy_program(t, "result=deny\n"))
    message = pack_message(TRIGGER_SERVICE4,
                           pack_trigger4(b"a" * 64999 + b"\0", "b", "SOCKET42"))
    d.agent.send(message[:4096])
    just_exec(d, 43, 514)
    d.agent.send(message[4096:])
    refused(d.agent)
    just_exec(d, 43, 516)


@case("qrexec-029 versions of local clients")
def _(t):
    d = Daemon(t, program=policy_program(t))
    for version in (0, 2):
        d.client(version).expect_eof()
    for version in (3, 4, 99):
        client = d.client(version)
        client.send_message(JUST_EXEC, pack_exec(0, 600, "user:x"))
        d.agent.expect(JUST_EXEC, pack_exec(0, 600, "user:x"))
    for kind, body in ((0x301, pack_hello(3)), (HELLO, b""), (HELLO, bytes(8))):
        client = t.connect(d.path)
        client.recv_hello()
        client.send_message(kind, body)
        client.expect_eof()


@case("qrexec-030 commands of local clients")
def _(t):
    d = Daemon(t, program=policy_program(t))
    for kind, body in ((EXEC_CMDLINE, bytes(8)), (EXEC_CMDLINE, bytes(65536)),
                       (EXEC_CMDLINE, pack_exec(0, 0) + b"abc"), (0x203, pack_exec(0, 0, "x")),
                       (0x213, pack_exec(0, 0, "x")), (EXEC_CMDLINE, pack_exec(0, 9999, "x")),
                       (EXEC_CMDLINE, pack_exec(0, 512, "x")), (EXEC_CMDLINE, b"")):
        client = d.client()
        send_broken(client, kind, body)
        client.expect_eof()
    for length in (9, 65535):
        body = pack_exec(0, 600) + b"c" * (length - 9) + b"\0"
        d.client().send_message(EXEC_CMDLINE, body)
        d.agent.expect(EXEC_CMDLINE, body)


@case("qrexec-031 DEFAULT is the default user")
def _(t):
    d = Daemon(t, user="toto", program=policy_program(t))
    for given, wanted in ((b"DEFAULT:x\0", b"toto:x\0"), (b"DEFAULT:a\0b\0", b"toto:a\0b\0"),
                          (b"DEFAULT\0", b"DEFAULT\0"), (b"default:x\0", b"default:x\0")):
        d.client().send_message(EXEC_CMDLINE, pack_exec(0, 600) + given)
        d.agent.expect(EXEC_CMDLINE, pack_exec(0, 600) + wanted)


@case("qrexec-032 the parity of ports")
def _(t):
    for domain, port in ((7, 513), (77, 514), (0, 513)):
        d = Daemon(t, program=policy_program(t))
        just_exec(d, domain, port)
        equal(d.program.stop(), 0)
        d.server.close()


# If this failed, some calls between busy qubes would hang for ever, as with the original.
@case("qrexec-033 many calls between two qubes, none lost")
def _(t):
    calls = int(os.environ.get("SKERRY_CALLS", "2000"))
    TextPolicy(t, lambda text: ALLOW.format(target="b"))
    a = Daemon(t, xid=42, name="a")
    b = Daemon(t, xid=43, name="b", uuid=UUID[:-1] + "2")
    wait_for(lambda: os.path.exists(t.path("qrexec.b")), "b")
    free = threading.Semaphore(16)
    ended = threading.Event()
    connected = {}

    def target():
        for _ in range(calls):
            kind, body = b.agent.recv_message()
            equal(kind, EXEC_CMDLINE)
            domain, port, _ = unpack_exec(body)
            equal(domain, 42)
            b.agent.send_message(CONNECTION_TERMINATED, pack_exec(domain, port))

    def caller():
        while len(connected) < calls:
            kind, body = a.agent.recv_message()
            equal(kind, SERVICE_CONNECT, "answer")
            domain, port, ident = unpack_exec(body)
            equal(domain, 43)
            connected[ident] = port
            a.agent.send_message(CONNECTION_TERMINATED, pack_exec(domain, port))
            free.release()
        ended.set()

    threads = [threading.Thread(target=f, daemon=True) for f in (target, caller)]
    for thread in threads:
        thread.start()
    for number in range(calls):
        check(free.acquire(timeout=HANG), f"call {number} never ended")
        a.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("s", "b", f"N{number}"))
    check(ended.wait(HANG), "all calls answered")
    for thread in threads:
        thread.join(HANG)
    equal(len(connected), calls)
    wait_for(lambda: a.program.fds() < 16 and b.program.fds() < 16, "descriptors returned")
    clients = [b.client() for _ in range(128)]      # no port is left in use
    for client in clients:
        client.send_message(EXEC_CMDLINE, pack_exec(42, 0, "x:y"))
    ports = {unpack_exec(client.recv_message()[1])[1] for client in clients}
    equal(len(ports), 128)


# If these failed, one stuck tool or one hostile qube would stop dom0's calls into that qube.
@case("qrexec-034 a client that stops in the middle makes nobody wait")
def _(t):
    d = Daemon(t, program=policy_program(t))
    stuck = t.connect(d.path)
    stuck.send(b"abc")
    just_exec(d, 43, 514)


@case("qrexec-035 an agent that stops in the middle of a message")
def _(t):
    d = Daemon(t, program=policy_program(t))
    d.agent.send(pack_header(TRIGGER_SERVICE4, 4096) + b"abc")
    just_exec(d, 43, 514)


BAD_ANSWERS = [
    "user=u\nresult=allow\ntarget=t\nrequested_target=t\n",
    ALLOW.format(target="t") + "result=allow\n",
    ALLOW.format(target="t").replace("True", "true"),
    ALLOW.format(target="t").replace("toto", "to\0to"),
    ALLOW.format(target="t") + "x" * 4096 + "=1\n",
    "result=deny\nuser=u\n", ALLOW.format(target="t") + "x\n", "", "\n",
    ALLOW.format(target="t").replace("allow", "maybe"),
    ALLOW.format(target="t").replace("user=toto", "user="),
]


# If this failed, a broken policy service would allow calls.
@case("qrexec-036 malformed policy answers refuse, unknown keys do not matter")
def _(t):
    answers = {f"bad{i}": answer for i, answer in enumerate(BAD_ANSWERS)}
    answers["good"] = ALLOW.format(target="domain_name") + "x=1\n"
    TextPolicy(t, lambda text: answers[request_fields(text)["service_and_arg"]])
    d = Daemon(t)
    for name in answers:
        if name == "good":
            continue
        d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(name, "t", "SOCKET42"))
        refused(d.agent)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("good", "t", "SOCKET42"))
    equal(d.agent.recv_message()[0], EXEC_CMDLINE)
    equal(d.agent.recv_message()[0], SERVICE_CONNECT)


# If this failed, the policy service of the original would not understand this daemon.
@case("qrexec-037 the request text on the policy socket")
def _(t):
    policy = TextPolicy(t, lambda text: "result=deny\n")
    d = Daemon(t)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a+b", "", "SOCKET42"))
    refused(d.agent)
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "t", "SOCKET42", "remote"))
    refused(d.agent)
    d.agent.send_message(TRIGGER_SERVICE3, pack_trigger3("a", "t", "SOCKET42"))
    refused(d.agent)
    equal(policy.requests, [
        b"source=domain_name\nrequested_source=\nintended_target=\nservice_and_arg=a+b\n\n",
        b"source=domain_name\nrequested_source=remote\nintended_target=t\nservice_and_arg=a\n\n",
        b"source=domain_name\nintended_target=t\nservice_and_arg=a\n\n"])


if __name__ == "__main__":
    main()
