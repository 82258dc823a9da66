# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of failing system calls share: an agent that serves call after call."""

import os
import socket
import threading

from agent_peer import *
from agent_peer import (EXEC_CMDLINE, CONNECTION_TERMINATED, CONTROL, DATA_STDIN, HANG, OWN, PEER, Dom0, Failure,
                        Server, check, equal, pack_exec, pack_message, socket_service, unpack_exec)

FULL = os.environ.get("SKERRY_FAULTS") == "full"
TEXT = b"what the service says\n"
INPUT = b"what the caller says\n"


def numbers():
    """All, or closely at first and then fewer."""
    n = 1
    while True:
        yield n
        n += 1 if FULL or n < 6 else max(1, n // 3)


def quietly(function):
    def run(channel):
        try:
            function(channel)
        except (Failure, OSError):
            pass  # the client died in the middle, as it may
    return run


class Serving:
    """An agent that goes on through all faults: only a traced call meets one."""

    def __init__(self, t, **more):
        self.t = t
        self.dom0 = Dom0(t, **more)
        self.server = socket_service(t, "qubes.Socket")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer = self.server.accept()
            except OSError:
                return
            quietly(lambda channel: (channel.recv_to_eof(), channel.send(TEXT)))(peer)
            peer.close()

    def reconnect(self):
        self.dom0.control.close()
        while True:
            check(self.dom0.agent.running(), "the agent ended")
            try:
                self.dom0.control = self.t.vchan_client(OWN, 0, CONTROL)
                self.dom0.control.hello_second()
                return
            except (Failure, OSError):
                pass

    def ended(self, port):
        """Until the agent says that the call is over; or the control channel is a new one, which the
        request may not have reached."""
        while True:
            try:
                message = self.dom0.control.recv_message()
            except (Failure, ConnectionError):
                self.reconnect()
                return
            equal(message[0], CONNECTION_TERMINATED)
            if unpack_exec(message[1])[1] == port:
                return

    def call(self, command):
        """(messages of the call, whether its channel ended between messages)"""
        dom0 = self.dom0
        dom0.next_port += 1
        port = dom0.next_port
        listener = Server(self.t.vchan_path(PEER, OWN, port))
        got = []

        def caller():
            try:
                channel = listener.accept()
                channel.hello_first()
                channel.send(pack_message(DATA_STDIN, INPUT) + pack_message(DATA_STDIN))
                while True:
                    got.append(channel.recv_message())
            except (Failure, OSError):
                pass
        thread = threading.Thread(target=caller, daemon=True)
        thread.start()
        try:
            dom0.control.send_message(EXEC_CMDLINE, pack_exec(PEER, port, command))
        except OSError:
            self.reconnect()
            return got
        self.ended(port)
        if not got:
            # Whoever still listens is let go.
            poke = socket.socket(socket.AF_UNIX)
            poke.connect_ex(listener.path)
            poke.close()
        thread.join(timeout=HANG)
        check(not thread.is_alive(), "the call's channel hangs")
        listener.close()
        return got
