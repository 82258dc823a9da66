# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 and the other qubes, as qrexec-agent sees them: the ground of agent.py and agent_data.py.

The agent is qube 42. Its control channel is vchan.42.0.512; a data channel of a call from domain 43
on port 1024 is vchan.43.42.1024, whose server is the caller.
"""

import getpass
import os
import pwd
import socket
import stat

from harness import *

OWN = 42
PEER = 43


class Dom0:
    """A started agent and its control channel, HELLO done."""

    def __init__(self, t, *args, user=None, env=None, hello=True, fork_server=False,
                 program="qrexec-agent", run_as=None, **more):
        self.t = t
        self.user = user or runner()
        for folder in ("rpc", "local-rpc", "rpc-config"):
            os.makedirs(t.path(folder), exist_ok=True)
            os.chmod(t.path(folder), 0o777)
        options = ["--agent-socket=" + t.path("agent.sock")]
        if not fork_server:
            options.append("--no-fork-server")
        self.env = {
            "VCHAN_DOMAIN": str(OWN),
            "QREXEC_SERVICE_PATH": t.path("local-rpc") + ":" + t.path("rpc"),
            "QUBES_RPC_CONFIG_PATH": t.path("rpc-config"),
            "SHELL": "/bin/sh",
        }
        self.env.update(env or {})
        self.agent = t.start(program, *options, *args, env=self.env,
                             user=run_as or self.user,
                             **more)
        self.control = t.vchan_client(OWN, 0, CONTROL)
        self.next_port = 1024
        if hello:
            equal(self.control.hello_second(), VERSION, "HELLO of the agent")

    def call(self, command, kind=EXEC_CMDLINE, version=VERSION, domain=PEER, hello=True):
        """Ask for a command; the caller's end of its data channel, HELLO done."""
        port = self.next_port
        self.next_port += 1
        server = self.t.vchan_server(domain, OWN, port)
        self.control.send_message(kind, pack_exec(domain, port, command))
        channel = self.t.own(server.accept())
        channel.port = port
        if hello:
            equal(channel.hello_first(version), VERSION)
        return channel

    def rpc(self, text, kind=EXEC_CMDLINE, **more):
        return self.call(f"{self.user}:QUBESRPC {text}", kind, **more)

    def terminated(self, channel, domain=PEER):
        self.control.expect(CONNECTION_TERMINATED, pack_exec(domain, channel.port))

    def ends(self, channel, code, out=b"", err=b""):
        """The rest of a call: its output, both ends, the code last, then the channel's end and the
        message on the control channel."""
        messages = channel.recv_all_messages()
        equal(collect(messages), (out, err, code))
        self.terminated(channel)
        return messages


def runner():
    """The user that the programs run as: nobody if we are root, so that the agent need not switch."""
    return "nobody" if os.geteuid() == 0 else getpass.getuser()


def collect(messages):
    """(stdout, stderr, exit code) of a service's messages, which must be in a legal order."""
    data = {DATA_STDOUT: b"", DATA_STDERR: b""}
    ended = set()
    for kind, body in messages[:-1]:
        check(kind in data, f"type {kind:#x} before the exit code")
        check(kind not in ended, f"type {kind:#x} after its end")
        if body:
            data[kind] += body
        else:
            ended.add(kind)
    equal(ended, set(data), "end-of-file messages")
    kind, body = messages[-1]
    equal((hex(kind), len(body)), (hex(DATA_EXIT_CODE), 4), "last message")
    return data[DATA_STDOUT], data[DATA_STDERR], struct.unpack("<i", body)[0]


def all_ends(*order):
    """The messages of a failed start."""
    return [(kind, b"") for kind in order]


def service(t, name, content, folder="rpc"):
    """A shell script as a service."""
    return t.script(f"{folder}/{name}", content)


def socket_service(t, name, folder="rpc"):
    """A listening socket as a service: .accept() is the Channel of a call."""
    return t.listen(t.path(folder, name))
