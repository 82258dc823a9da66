# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy service and its tools, black box: conformance cases 63 to 76 and what goes beyond them."""

import json
import os
import pty
import select
import socket
import threading
import time

from harness import *
from policy_common import *

REQUEST = "source=work\nintended_target=vault\nservice_and_arg=a.Allow+x\n"


# If these failed, a daemon would get an answer that it does not understand, or the wrong one.
@case("policy-63 an allowed question, to the byte")
def _(t):
    s = Service(t, "a.Allow * work vault allow user=bob\n")
    equal(s.raw(REQUEST + "\n", end=False), ALLOWED % "bob")


@case("policy-64 end of stream ends a question; what follows the empty line is ignored")
def _(t):
    s = Service(t, "a.Allow * work vault allow user=bob\n")
    equal(s.raw(REQUEST), ALLOWED % "bob")
    equal(s.raw(REQUEST.rstrip("\n")), ALLOWED % "bob")
    equal(s.raw(REQUEST + "\nnonsense\n\xff"), ALLOWED % "bob")


@case("policy-65 keys in any order, an empty claimed source")
def _(t):
    s = Service(t, "a.Allow * work vault allow user=bob\n")
    equal(s.raw("".join(reversed(REQUEST.splitlines(True))) + "\n"), ALLOWED % "bob")
    equal(s.ask(requested_source=""), ALLOWED % "bob")


@case("policy-66 malformed questions are closed without a byte, long services are answered")
def _(t):
    s = Service(t, "a.Allow * work vault allow user=bob\n")
    for bad in ("process_ident=1\n", "source=work\n", "just_evaluate=1\n", "noequals\n",
                "x=" + "y" * 70000 + "\n"):
        equal(s.raw(REQUEST + bad + "\n"), "")
    equal(s.raw(b"source=work\nintended_target=v\xc3\xa9\nservice_and_arg=a.Allow\n\n"), "")
    equal(s.raw("source=work\nintended_target=vault\n\n"), "")
    equal(s.ask(service="a.Allow+" + "x" * 60000), ALLOWED % "bob")


@case("policy-67 just_evaluate answers with one line, without checks of execution")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(just_evaluate="yes"), "result=allow")
    equal(s.ask(target="work", just_evaluate="yes"), "result=allow")
    equal(s.ask(target="rem2", just_evaluate="yes"), "result=allow")
    equal(s.ask(target="work"), "result=deny")


@case("policy-68 ask: just_evaluate refuses, assume_yes_for_ask takes the target if it is offered")
def _(t):
    s = Service(t, "a.Allow * * * ask notify=no\n")
    equal(s.ask(just_evaluate="yes"), "result=deny")
    both = {"just_evaluate": "yes", "assume_yes_for_ask": "yes"}
    equal(s.ask(**both), "result=allow")
    for target in ("@default", "@dispvm", "@adminvm"):
        equal(s.ask(target=target, **both), "result=deny")
    equal(s.ask(assume_yes_for_ask="yes"), ALLOWED % "DEFAULT")
    equal(s.calls, [])


@case("policy-69 the user's answer is believed only if it is one of those offered")
def _(t):
    s = Service(t, "a.Allow * * * ask\n")
    s.answer = b"allow:vault"
    equal(s.ask(target="@default").split("\n")[:3], ["user=DEFAULT", "result=allow", "target=vault"])
    for answer in (b"deny", b"allow:vault\n", b"allow:", b"allow:gone", b"", b"yes", b"allow:vault\0",
                   b"x" * 100000):
        s.answer = answer
        equal(s.ask(target="@default"), "result=deny")
    os.unlink(s.path("run/qubes/policy-agent.sock"))
    equal(s.ask(target="@default"), "")


@case("policy-70 what the prompt service is told")
def _(t):
    s = Service(t, "a.Allow * * * ask\n")
    s.ask(target="@default")
    (header, params), = s.wait_calls(1)
    equal(header, "policy.Ask dom0 name dom0")
    equal(sorted(params), ["argument", "default_target", "icons", "service", "source", "targets"])
    equal(sorted(params["icons"]), sorted(list(system_e()) + ["@dispvm:dvm", "@dispvm:dvm2"]))
    equal(params["icons"]["@dispvm:dvm"], "dispvm-red")
    equal((params["source"], params["service"], params["argument"]), ("work", "a.Allow", "+x"))


@case("policy-71 notices: who is told what, and never on just_evaluate")
def _(t):
    s = Service(t, "a.Deny * * * deny\na.Quiet * * * deny notify=no\na.Tell * * * allow notify=yes\n")
    equal(s.ask(service="a.Deny"), "result=deny")
    equal(s.wait_calls(1)[0], ("policy.Notify dom0 name dom0", {
        "resolution": "deny", "service": "a.Deny", "argument": "+", "source": "work", "target": "vault"}))
    equal(s.ask(service="a.Quiet"), "result=deny")
    equal(s.ask(service="a.Deny", just_evaluate="yes"), "result=deny")
    equal(s.ask(service="a.Tell", target="vault").split("\n")[1], "result=allow")
    calls = s.wait_calls(2)
    equal((len(calls), calls[1][1]["resolution"], calls[1][1]["target"]), (2, "allow", "vault"))
    os.unlink(s.path("run/qubes/policy-agent.sock"))
    equal(s.ask(service="a.Deny"), "result=deny")


# If these failed, a policy that is half written or broken would still let calls through.
@case("policy-72 a broken policy refuses everything and recovers by itself")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    file = "etc/qubes/policy.d/30-user.policy"
    equal(s.ask(), ALLOWED % "DEFAULT")
    s.write(file, "a.Allow * * * maybe\n")
    equal(s.ask(), "result=deny")
    s.write(file, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(s.calls, [])
    s.write("etc/qubes/policy.d/Big.policy", "")
    equal(s.ask(), "result=deny")
    equal(s.wait_calls(1)[0][1]["resolution"], "deny")
    os.unlink(s.path("etc/qubes/policy.d/Big.policy"))
    equal(s.ask(), ALLOWED % "DEFAULT")
    with open(s.path(file), "wb") as f:
        f.write(b"# \xff\n")
    equal(s.ask(), "")
    s.write(file, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(len(s.calls), 1)


@case("policy-73 a new file counts at the next question, and so does its removal")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    for _ in range(20):
        equal(s.ask(), ALLOWED % "DEFAULT")
        s.write("run/qubes/policy.d/10-r.policy", "a.Allow * * * deny notify=no\n")
        equal(s.ask(), "result=deny")
        os.unlink(s.path("run/qubes/policy.d/10-r.policy"))


def eval_ask(s, socket_name, header, source, target):
    return s.raw(raw(header) + b"\0" + raw(source) + b"\0" + raw(target), "etc/qubes-rpc/" + socket_name)


@case("policy-74 policy.EvalSimple")
def _(t):
    s = Service(t, "a.Allow * * * allow\na.Ask * * * ask\n")
    name = "policy.EvalSimple"
    equal(eval_ask(s, name, "policy.EvalSimple+a.Allow guid", "work", "vault"), "result=allow\n")
    equal(eval_ask(s, name, "policy.EvalSimple+a.Allow dom0 keyword adminvm", "work", "vault"), "result=allow\n")
    equal(eval_ask(s, name, "policy.EvalSimple+a.Nothing guid", "work", "vault"), "result=deny\n")
    equal(eval_ask(s, name, "policy.EvalSimple+a.Ask guid", "work", "vault"), "result=allow\n")
    for header, source, target in (
            ("policy.EvalSimple+a.Allow guid", "work", "@dispvm:dvm"),
            ("policy.EvalSimple+a.Allow guid", "work", "x" * 64),
            ("policy.EvalSimple+a.Allow guid", "x" * 32, "vault"),
            ("policy.EvalSimple guid", "work", "vault"),
            ("policy.EvalSimple++a guid", "work", "vault"),
            ("policy.EvalGUI+a.Allow guid", "work", "vault")):
        equal(eval_ask(s, name, header, source, target), "")


@case("policy-75 policy.EvalGUI answers only about qubes of the caller")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    name = "policy.EvalGUI"
    s.domains["work"]["tags"].append("guivm-gui")
    equal(eval_ask(s, name, "policy.EvalGUI+a.Allow gui", "work", "vault"), "")
    s.domains["vault"]["tags"].append("guivm-gui")
    equal(eval_ask(s, name, "policy.EvalGUI+a.Allow gui", "work", "vault"), "result=allow\n")
    equal(eval_ask(s, name, "policy.EvalGUI+a.Allow other", "work", "vault"), "")
    equal(eval_ask(s, name, "policy.EvalGUI+a.Allow gui", "work", "@dispvm"), "")


@case("policy-76 the policy program: output and exit status, with the service and without")
def _(t):
    s = Service(t, "a.Allow * work vault allow\n")
    for running in (True, False):
        def run(*args):
            p = t.start("qrexec-policy-exec", *args)
            return p.wait(), p.stdout
        equal(run("--", "work", "vault", "a.Allow"), (0, (ALLOWED % "DEFAULT" + "\n").encode()))
        equal(run("--", "work", "vault", "a.B"), (1, b"result=deny\n"))
        equal(run("--just-evaluate", "--", "work", "vault", "a.Allow"), (0, b""))
        equal(run("--just-evaluate", "--", "work", "vault", "a.B"), (1, b""))
        equal(run("work", "vault"), (2, b""))
        if running:
            equal(s.program.stop(), 0)


class Admin:
    """An admin service that starts and kills, and a qrexec-client that says how it was called."""

    def __init__(self, t, s, **replies):
        self.calls, self.replies = [], replies
        s.listen("run/qubesd.sock", self.on_call)
        t.file("root/usr/bin/qrexec-client", "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 7\n")
        os.chmod(s.path("usr/bin/qrexec-client"), 0o755)

    def on_call(self, conn):
        header, payload = recv_all(conn).split(b"\0", 1)
        method, _, kind, dest = header.decode().split()
        if method == "admin.Events+":
            return
        self.calls.append((method, kind, dest, payload))
        conn.sendall(self.replies.get(method.split(".")[-1].rstrip("+"), b"0\0"))


# If this failed, a daemon that still makes its calls through this program could not make one.
@case("policy program, five arguments: the call is made as it was allowed, with the service and without")
def _(t):
    s = Service(t, "a.Allow * work vault allow user=bob\na.Disp * work @dispvm allow\n")
    new = "uuid:" + uuid(77)
    admin = Admin(t, s, CreateDisposable=b"0\0" + new.encode())
    for running in (True, False):
        def run(*args):
            del admin.calls[:]
            p = t.start("qrexec-policy-exec", *args)
            return p.wait(), p.stdout.decode()
        equal(run("--", "42", "work", "vault", "a.Allow+x", "SOCKET5"),
              (7, "<-Ed><%s><-c><SOCKET5,work,42><bob:QUBESRPC a.Allow+x work>" % U2))
        equal(admin.calls, [("admin.vm.Start+", "name", "vault", b"")])
        equal(run("42", "work", "@dispvm", "a.Disp", "SOCKET5"),
              (7, "<-EWkd><%s><-c><SOCKET5,work,42><DEFAULT:QUBESRPC a.Disp work>" % new))
        equal(admin.calls, [("admin.vm.CreateDisposable+", "name", "dvm", b"uuid"),
                            ("admin.vm.Start+", "name", new, b"")])
        equal(run("42", "work", "vault", "a.No", "SOCKET5"), (1, ""))
        equal(run("--just-evaluate", "42", "work", "vault", "a.Allow", "SOCKET5"), (0, ""))
        equal(run("42", "work", "vault", "a.Allow", "SOCKET5,x"), (1, ""))
        equal(run("42", "work", "vault", "a.Allow", "SOCKET5", "x"), (2, ""))
        equal(admin.calls, [])
        if running:
            equal(s.program.stop(), 0)


@case("policy program, five arguments: a disposable that cannot be used is killed; other failures make nothing")
def _(t):
    s = Service(t, "a.Allow * work vault allow\na.Disp * work @dispvm allow\n")
    new = "uuid:" + uuid(77)
    admin = Admin(t, s, CreateDisposable=b"0\0" + new.encode(), Start=b"2\0QubesException\0\0no\0")
    def run(target, service):
        del admin.calls[:]
        p = t.start("qrexec-policy-exec", "42", "work", target, service, "SOCKET5")
        return p.wait(), p.stdout, [call[0] for call in admin.calls]
    create, start, kill = ("admin.vm.%s+" % name for name in ("CreateDisposable", "Start", "Kill"))
    equal(run("@dispvm", "a.Disp"), (1, b"", [create, start, kill]))
    equal(run("vault", "a.Allow"), (1, b"", [start]))
    admin.replies["Start"] = b"2\0QubesVMNotHaltedError\0\0runs\0"
    equal(run("vault", "a.Allow")[0], 7)
    os.chmod(s.path("usr/bin/qrexec-client"), 0o755)
    with open(s.path("usr/bin/qrexec-client"), "w") as f:
        f.write("#!/no/such/interpreter\n")
    equal(run("@dispvm", "a.Disp"), (1, b"", [create, start, kill]))
    for bad in (b"2\0QubesException\0\0no\0", b"0\0disp77", b"0\0" + new.encode() + b"x", b"0\0uuid:" + b"/" * 36, b""):
        admin.replies["CreateDisposable"] = bad
        equal(run("@dispvm", "a.Disp"), (1, b"", [create]))


# If this failed, a policy directory that is made anew would be ignored for ever.
@case("policy reload: a directory that is removed and made again")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    os.rmdir(s.path("run/qubes/policy.d"))
    equal(s.ask(), "result=deny")
    os.mkdir(s.path("run/qubes/policy.d"))
    s.write("run/qubes/policy.d/10-r.policy", "a.Allow * * * deny\n")
    equal(s.ask(), "result=deny")
    s.write("run/qubes/policy.d/10-r.policy", "")
    equal(s.ask(), ALLOWED % "DEFAULT")


# If this failed, a changed include would leave the old rules in force.
@case("policy reload: an included file, from outside too, written in place")
def _(t):
    outside = t.file("outside/rules", "a.Allow * * * allow\n")
    s = Service(t, "!include %s\n" % outside)
    equal(s.ask(), ALLOWED % "DEFAULT")
    with open(outside, "w") as f:
        f.write("a.Allow * * * deny notify=no\n")
    equal(s.ask(), "result=deny")
    with open(outside, "w") as f:
        f.write("a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")


# If this failed, a call could pass by a rule that is just being typed into the file.
@case("policy reload: a file in the middle of being written refuses")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    with open(s.path("etc/qubes/policy.d/10-new.policy"), "w") as f:
        f.write("# to be continued\n")
        f.flush()
        equal(s.ask(), "result=deny")
        f.write("a.Allow * * * deny\n")
    equal(s.ask(), "result=deny")
    os.unlink(s.path("etc/qubes/policy.d/10-new.policy"))
    equal(s.ask(), ALLOWED % "DEFAULT")


# If this failed, one mistake in a file at boot would end the service instead of being shown.
@case("policy start: with a broken policy the service runs, refuses and says why")
def _(t):
    s = Service(t, "a.Allow * * *\n")
    equal(s.ask(), "result=deny")
    s.write("etc/qubes/policy.d/30-user.policy", "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(s.program.stop(), 0)
    true(b"30-user.policy:1" in s.program.stderr)


@case("policy facts: an exception refuses, an unreachable admin service gives no answer")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    s.reply = b"2\0QubesException\0\0no\0"
    equal(s.ask(), "result=deny")
    equal(eval_ask(s, "policy.EvalSimple", "policy.EvalSimple+a.Allow guid", "work", "vault"), "")
    s.reply = b"nonsense"
    equal(s.ask(), "")
    s.reply = None
    equal(s.ask(), ALLOWED % "DEFAULT")
    os.unlink(s.path("var/run/qubesd.internal.sock"))
    equal(s.ask(), "")


# If this failed, a tag that is taken away would still open doors.
@case("policy facts: changes count at the next question, asked for or announced")
def _(t):
    s = Service(t, "a.Allow * @tag:w * allow\na.Allow * * * deny notify=no\n")
    for _ in range(10):
        s.domains["work"]["tags"] = []
        equal(s.ask(), "result=deny")
        s.domains["work"]["tags"] = ["w"]
        equal(s.ask(), ALLOWED % "DEFAULT")


@case("policy facts: while events come, nothing is asked; an event brings the new state")
def _(t):
    streams, queries = [], []

    def events(conn):
        recv_all(conn)
        conn.sendall(b"1\0\0connection-established\0\0")
        streams.append(conn)
        threading.Event().wait(HANG)

    os.makedirs(os.path.join(t.root, "run/qubes/policy.d"), exist_ok=True)
    class WithEvents(Service):
        def on_query(self, conn):
            queries.append(1)
            super().on_query(conn)

        def listen(self, name, handler):
            if name == "var/run/qubesd.internal.sock":
                super().listen("run/qubesd.sock", events)
            super().listen(name, handler)

    s = WithEvents(t, "a.Allow * @tag:w * allow\na.Allow * * * deny notify=no\n")
    wait_for(lambda: streams)
    wait_for(lambda: s.ask() and not s.ask() == "" and queries)
    def settled():
        before = len(queries)
        for _ in range(5):
            s.ask()
        return len(queries) == before
    wait_for(settled)
    before = len(queries)
    for _ in range(50):
        equal(s.ask(), ALLOWED % "DEFAULT")
    equal(len(queries), before)
    s.domains["work"]["tags"] = []
    streams[0].sendall(b"1\0work\0domain-tag-delete:w\0tag\0w\0\0")
    wait_for(lambda: s.ask() == "result=deny")


# If this failed, one person who thinks would stop every call of the machine.
@case("policy prompts: many at once, and decisions go on meanwhile")
def _(t):
    go = threading.Event()
    s = Service(t, "a.Ask * * * ask\na.Allow * * * allow\n")

    def answer(conn):
        go.wait(HANG)
        return b"allow:vault"

    s.answer = answer
    waiting = []
    for source in ("work", "nodisp", "badd", "relay"):
        for _ in range(4):
            sock = s.connect()
            sock.sendall(raw("source=%s\nintended_target=@default\nservice_and_arg=a.Ask\n\n" % source))
            waiting.append(sock)
    s.wait_calls(16)
    for _ in range(100):
        equal(s.ask(), ALLOWED % "DEFAULT")
    go.set()
    for sock in waiting:
        true(b"result=allow\ntarget=vault\n" in recv_all(sock))


@case("policy prompts: one source cannot flood the screen")
def _(t):
    go = threading.Event()
    s = Service(t, "a.Ask * * * ask\n")
    s.answer = lambda conn: go.wait(HANG) and b"deny"
    waiting = [s.connect() for _ in range(8)]
    for sock in waiting:
        sock.sendall(b"source=work\nintended_target=vault\nservice_and_arg=a.Ask\n\n")
    s.wait_calls(8)
    equal(s.ask(service="a.Ask"), "result=deny")
    equal(len(s.calls), 8)
    go.set()


# If this failed, a caller that gave up would leave its prompt on the user's screen.
@case("policy prompts: a caller that goes takes its prompt along")
def _(t):
    s = Service(t, "a.Ask * * * ask\n")
    gone = threading.Event()

    def answer(conn):
        conn.setblocking(True)
        poll = select.poll()
        poll.register(conn, select.POLLHUP)
        if poll.poll(HANG * 1000):
            gone.set()
        return b"deny"

    s.answer = answer
    sock = s.connect()
    sock.sendall(b"source=work\nintended_target=vault\nservice_and_arg=a.Ask\n\n")
    s.wait_calls(1)
    sock.close()
    true(gone.wait(HANG))


@case("policy calls: many questions on one kept connection, each answered once")
def _(t):
    s = Service(t, "a.Allow * * * allow user=bob\na.Deny * * * deny notify=no\n")
    sock = s.connect("run/qubes/policy.calls.sock", socket.SOCK_SEQPACKET)
    answers = {}

    def take():
        for _ in range(4000):
            number, verdict, texts = unpack_answer(sock.recv(70000))
            answers[number] = (verdict, texts)

    taker = threading.Thread(target=take)
    taker.start()
    for i in range(4000):
        sock.send(packet(i, service="a.Deny" if i % 2 else "a.Allow+" + "x" * (i % 300)))
    taker.join(HANG)
    equal(len(answers), 4000)
    for i in range(4000):
        equal(answers[i], (0, [""] * 6) if i % 2 else (1, ["bob", "vault", U2, "vault", "", ""]))


@case("policy calls: a malformed packet ends that connection and no other")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    other = s.connect("run/qubes/policy.calls.sock", socket.SOCK_SEQPACKET)
    for bad in (b"x", packet(1)[:-1], packet(1) + b"x", packet(1, flags=8), packet(1, requested="rem"),
                packet(1, source="a\nb"), packet(1, source="x" * 70)):
        sock = s.connect("run/qubes/policy.calls.sock", socket.SOCK_SEQPACKET)
        sock.send(bad)
        equal(recv_all(sock), b"")
    other.send(packet(5))
    equal(unpack_answer(other.recv(70000))[:2], (5, 1))


@case("policy calls: a client that does not read its answers is not read from")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    deaf = s.connect("run/qubes/policy.calls.sock", socket.SOCK_SEQPACKET)
    deaf.setblocking(False)
    sent = 0
    try:
        while sent < 200000:
            deaf.send(packet(sent))
            sent += 1
    except BlockingIOError:
        pass
    true(sent < 200000)
    equal(s.ask(), ALLOWED % "DEFAULT")
    deaf.setblocking(True)
    deaf.settimeout(HANG)
    for i in range(sent):
        equal(unpack_answer(deaf.recv(70000))[0], i)


# If this failed, somebody who opens the socket and says nothing would keep others out.
@case("policy sockets: clients that say nothing do not disturb others")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    silent = [s.connect() for _ in range(300)]
    for sock in silent[:100]:
        sock.sendall(b"source=wo")
    equal(s.ask(), ALLOWED % "DEFAULT")


# If this failed, the log of decisions could be changed without a trace.
@case("policy log: every decision is there, and the verifier names the first record that is not right")
def _(t):
    s = Service(t, "a.Allow * * * allow\na.Ask * * * ask\n")
    s.answer = b"allow:vault"
    for _ in range(3):
        s.ask()
        s.ask(service="a.B")
    s.ask(service="a.Ask", target="@default")
    equal(s.program.stop(), 0)
    log = "root/var/log/qubes/policy-decisions.log"
    wait_for(lambda: len(t.read(log).splitlines()) == 8)
    lines = t.read(log).decode().splitlines(True)
    true(" allow source=work target=vault service=a.Allow+x to=vault rule=" in lines[1])
    true("30-user.policy:1\n" in lines[1])
    true(" deny source=work " in lines[2] and "reason=no_match" in lines[2])
    true("asked=dom0" in lines[7])

    def verify(text, *args):
        t.file(log, text)
        p = t.start("skerry", "policy", "log", "--verify", *args)
        return p.wait(), p.stdout.decode()

    status, out = verify("".join(lines))
    equal(status, 0)
    true(out.startswith("whole: 8 records"))
    head = out.split()[-1]
    equal(verify("".join(lines), "--head=" + head)[0], 0)
    for changed, line in (
            (lines[:3] + [lines[3].replace("allow", "deny", 1)] + lines[4:], 4),
            (lines[:3] + lines[4:], 4), (lines[:4] + [lines[3]] + lines[4:], 5),
            (lines[:2] + [lines[3], lines[2]] + lines[4:], 3), (lines[:5] + ["x\n"] + lines[5:], 6)):
        status, out = verify("".join(changed))
        equal(status, 1)
        true(".log:%d:" % line in out)
    status, out = verify("".join(lines[:6]), "--head=" + head)
    equal(status, 1)


@case("policy log: the chain goes on over a restart")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    s.ask()
    equal(s.program.stop(), 0)
    log = "root/var/log/qubes/policy-decisions.log"
    wait_for(lambda: len(t.read(log).splitlines()) == 2)
    again = t.start("skerry-policy")
    wait_for(lambda: len(t.read(log).splitlines()) == 3)
    equal(again.stop(), 0)
    p = t.start("skerry", "policy", "log", "--verify")
    equal((p.wait(), p.stdout.decode()[:16]), (0, "whole: 3 records"))


def ask_params(**more):
    params = {"source": "work", "service": "a.Ask", "argument": "+x", "targets": ["vault", "mail", "@dispvm:dvm"],
              "default_target": "", "icons": {n: "i" for n in ("work", "vault", "mail", "@dispvm:dvm")}}
    params.update(more)
    return json.dumps(params).encode()


class Terminal:
    """skerry ask on a terminal of its own."""

    def __init__(self, t):
        self.socket = t.path("ask.sock")
        self.master, slave = pty.openpty()
        self.program = t.start("skerry", "ask", "-s", self.socket, stdin=slave, stdout=slave)
        os.close(slave)
        self.seen = b""
        self.t = t
        wait_for(lambda: os.path.exists(self.socket))

    def ask(self, body, header=b"policy.Ask dom0 name dom0"):
        sock = self.t.own(dial(self.socket))
        sock.sendall(header + b"\0" + body)
        sock.shutdown(socket.SHUT_WR)
        return sock

    def until(self, text):
        at = 0
        while text not in self.seen:
            if not select.select([self.master], [], [], HANG)[0]:
                raise AssertionError("never shown: %r; %r" % (text, self.seen))
            self.seen += os.read(self.master, 65536)
        shown, self.seen = self.seen, b""
        return shown

    def type(self, keys):
        os.write(self.master, keys)


# If these failed, the user could be made to allow something by a key meant for another window.
@case("ask: a key decides only once the prompt is armed")
def _(t):
    term = Terminal(t)
    sock = term.ask(ask_params(default_target="vault"))
    term.until(b"Wait ...")
    begin = time.monotonic()
    term.type(b"\r")
    term.until(b"Enter: allow")
    true(time.monotonic() - begin > 0.5)
    term.type(b"\r")
    equal(recv_all(sock), b"allow:vault")


@case("ask: typing chooses, Escape refuses, prompts queue")
def _(t):
    term = Terminal(t)
    first, second, third = (term.ask(ask_params()) for _ in range(3))
    term.until(b"choose a target")
    term.type(b"mai")
    term.until(b"Enter: allow")
    term.type(b"\r")
    equal(recv_all(first), b"allow:mail")
    term.until(b"choose a target")
    term.type(b"\x1b")
    equal(recv_all(second), b"deny")
    term.until(b"choose a target")
    term.type(b"1")
    term.until(b"Enter: allow")
    term.type(b"\r")
    equal(recv_all(third), b"allow:@dispvm:dvm")


@case("ask: what a qube wrote cannot drive the terminal; malformed requests get no answer")
def _(t):
    term = Terminal(t)
    sock = term.ask(ask_params(argument="+\x1b[2J\n\u009b", targets=["vault", "x\x1b]0;y"]))
    shown = term.until(b"choose a target")
    true(b"\\x1b[2J\\x0a\\xc2\\x9b" in shown and b"]0;y" not in shown)
    term.ask(ask_params(), header=b"policy.Notify dom0")
    for bad in (b"", b"{}", b"[1]", b"{", ask_params(source="nobody"), ask_params(service="a b"),
                ask_params(targets="x"), ask_params() + b"\0"):
        equal(recv_all(term.ask(bad)), b"")
    equal(recv_all(term.ask(ask_params(), header=b"policy.Other dom0")), b"")
    notice = {"resolution": "deny", "service": "a.B", "argument": "+\x07", "source": "work", "target": "va\x1bult"}
    term.ask(json.dumps(notice).encode(), header=b"policy.Notify dom0 name dom0")
    term.until(b"Denied: a.B+\\x07 from work to va\\x1bult")
    os.close(term.master)
    equal(recv_all(sock), b"deny")
    equal(term.program.wait(), 0)


@case("ask: with the service, end to end, answers from a file")
def _(t):
    answers = t.file("answers", "allow:vault\ndeny\n")
    s = Service(t, "a.Ask * * * ask\n", agent=False)
    t.start("skerry", "ask", "--answer", answers)
    wait_for(lambda: os.path.exists(s.path("run/qubes/policy-agent.sock")))
    true("result=allow\ntarget=vault\n" in s.ask(service="a.Ask", target="@default"))
    equal(s.ask(service="a.Ask", target="@default"), "result=deny")


if __name__ == "__main__":
    main()
