# SPDX-License-Identifier: GPL-2.0-or-later
"""Who does not come, or does not speak, is not waited for without end: the limits of the agent.

They are the real ones divided by $SKERRY_TEST_LIMIT_DIVISOR, which only builds with sanitizers or
-Dattack=true read; in other builds those cases are not there. Nothing here fails for being slow: each
case waits for the end that the limit brings."""

from agent_peer import *

VARIABLE = "SKERRY_TEST_LIMIT_DIVISOR"
with open(program("qrexec-agent"), "rb") as _file:
    SHORTENED = VARIABLE.encode() in _file.read()


def limited(name):
    """A case of a build that can shorten its limits."""
    return case(name) if SHORTENED else lambda function: function


def start(t, divisor, **more):
    return Dom0(t, env={VARIABLE: str(divisor)}, **more)


if not SHORTENED:
    # If this failed, whoever sets the agent's environment could switch its limits off.
    @case("agent-deadline no limit of this build can be changed from outside")
    def _(t):
        for name in ("qrexec-agent", "qrexec-fork-server", "qrexec-client-vm"):
            with open(program(name), "rb") as file:
                check(VARIABLE.encode() not in file.read(), name)


# If this failed, a caller that vanished would leave a service and a port behind for ever.
@limited("agent-deadline nobody comes to the data channel: the service sees the end of its input, dom0 its end")
def _(t):
    dom0 = start(t, 200)
    service(t, "qubes.Wait", f"cat; echo over >>{t.path('over')}\n")
    socket_server = socket_service(t, "qubes.Socket")
    for port, name in ((2000, "qubes.Wait"), (2001, "qubes.Socket"), (2002, "qubes.Absent")):
        command = f"{dom0.user}:QUBESRPC {name} domX"
        dom0.control.send_message(EXEC_CMDLINE, pack_exec(PEER, port, command))
        if name == "qubes.Socket":
            equal(socket_server.accept().recv_to_eof(), b"qubes.Socket domX\0")
        dom0.control.expect(CONNECTION_TERMINATED, pack_exec(PEER, port))
    wait_for(lambda: os.path.exists(t.path("over")), "the service's end")
    dom0.ends(dom0.rpc("qubes.Absent domX"), NOT_FOUND)


# If this failed, a caller that connects and says nothing would keep a worker for ever.
@limited("agent-deadline the peer of the data channel does not greet, or not to the end")
def _(t):
    dom0 = start(t, 200)
    service(t, "qubes.Wait", "cat\n")
    socket_service(t, "qubes.Socket")
    for name in ("qubes.Wait", "qubes.Socket", "qubes.Absent"):
        for part in (b"", pack_message(HELLO, pack_hello(VERSION))[:5]):
            channel = dom0.rpc(f"{name} domX", hello=False)
            channel.send(part)
            dom0.terminated(channel)
            channel.recv_to_eof()
    dom0.ends(dom0.rpc("qubes.Absent domX"), NOT_FOUND)


# If this failed, one connection of dom0's that stops would leave the qube without calls.
@limited("agent-deadline dom0 does not greet: the agent listens again")
def _(t):
    dom0 = start(t, 100, hello=False)
    for part in (b"", pack_message(HELLO, pack_hello(VERSION))[:9]):
        dom0.control.send(part)
        equal(dom0.control.recv_to_eof(), pack_message(HELLO, pack_hello(VERSION)))
        dom0.control = t.vchan_client(OWN, 0, CONTROL)
    equal(dom0.control.hello_second(), VERSION)
    # Once HELLO is done, dom0 may be silent as long as it likes.
    dom0.control.quiet(HELLO_MS / 100 / 1000 * 2)
    check(dom0.agent.running(), "the agent runs")


# If this failed, local users could fill the agent's table with requests that they never finish.
@limited("agent-deadline a local request that is not finished")
def _(t):
    dom0 = start(t, 100)
    request = pack_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    clients = []
    for cut in (0, 3, 8, 100, len(request) - 1):
        client = t.connect(t.path("agent.sock"))
        client.send(request[:cut])
        clients.append(client)
    for client in clients:
        client.expect_eof()
    # One that is complete may wait for its answer as long as dom0 takes.
    client = t.connect(t.path("agent.sock"))
    client.send(request)
    dom0.control.recv_message()
    client.quiet(MESSAGE_MS / 100 / 1000 * 2)


# If this failed, a service that never comes would keep the agent listening for a caller that has gone.
@limited("agent-deadline a caller that has gone, and a service that does not come")
def _(t):
    dom0 = start(t, 100)
    client = t.connect(t.path("agent.sock"))
    client.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    ident = unpack_trigger4(dom0.control.recv_message()[1])[2]
    client.close()
    after = t.connect(t.path("agent.sock"))
    after.send_message(TRIGGER_SERVICE4, pack_trigger4("c", "b", "SOCKET"))
    dom0.control.recv_message()
    dom0.control.send_message(SERVICE_CONNECT, pack_exec(43, 1024, ident))
    dom0.control.expect(CONNECTION_TERMINATED, pack_exec(43, 1024))
    wait_for(lambda: not os.path.exists(t.vchan_path(OWN, 43, 1024)), "nobody listens any more")


# The real limits, in milliseconds, to know how long is longer.
HELLO_MS, MESSAGE_MS = 60000, 30000

if __name__ == "__main__":
    main()
