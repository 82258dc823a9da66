# SPDX-License-Identifier: GPL-2.0-or-later
"""qrexec-agent as root: it becomes the user that dom0 names, through PAM or, built without it, su.

If these failed, services would run as root instead of as a user, or not at all.

The system's own accounts and PAM are left alone: the agent runs in a mount namespace of its own, in
which a passwd, a group and a pam.d of this test lie over them. That needs root and unshare(1).
"""

import resource
import socket

from agent_peer import *

USER, UID, GID, GROUP = "qtest", 64001, 64002, 64003
DENIED = "qdenied"
SU_AGENT = os.path.join(BUILD, "tests/blackbox/qrexec-agent-su")
PAM_AGENT = os.path.join(BUILD, "qube/agent/qrexec-agent")

PAM_QREXEC = """
auth     required pam_rootok.so
auth     required pam_succeed_if.so quiet user != {denied}
session  required pam_env.so conffile={dir}/pam_env.conf readenv=0
session  required pam_exec.so {dir}/hook
"""
PAM_SU = "auth required pam_rootok.so\naccount required pam_permit.so\nsession required pam_permit.so\n"
# Stands for the system's logger: a line for its arguments, then what it was given.
LOGGER = 'text=$(cat); echo "$*: $text" >>{dir}/syslog\n'

SHOW = ('echo "$(id -un) $(id -g) $(id -G) $PWD $HOME $SHELL $USER $LOGNAME"; '
        'echo "$# [$1] $QREXEC_REMOTE_DOMAIN $QREXEC_SERVICE_FULL_NAME ${SECRET-none}"\n')


def namespace(t, agent):
    """A script that starts the agent among accounts and PAM services of its own."""
    home = t.path("home")
    os.makedirs(home)
    os.chown(home, UID, GID)
    with open("/etc/passwd", encoding="utf-8") as file:
        passwd = file.read()
    with open("/etc/group", encoding="utf-8") as file:
        group = file.read()
    t.file("passwd", passwd + f"{USER}:x:{UID}:{GID}::{home}:/bin/sh\n"
                              f"{DENIED}:x:{UID + 9}:{GID}::{home}:/bin/sh\n")
    t.file("group", group + f"qtest:x:{GID}:\nqextra:x:{GROUP}:{USER}\n")
    t.file("pam.d/qrexec", PAM_QREXEC.format(dir=t.dir, denied=DENIED))
    t.file("pam.d/su", PAM_SU)
    t.file("pam.d/su-l", PAM_SU)
    t.file("pam.d/other", "auth required pam_deny.so\nsession required pam_deny.so\n")
    t.file("pam_env.conf", "FROM_PAM DEFAULT=yes\n")
    t.script("hook", f'echo "$PAM_TYPE $PAM_USER" >>{t.dir}/sessions\n')
    t.script("logger", LOGGER.format(dir=t.dir))
    mounts = "".join(f"mount --bind {t.path(ours)} {theirs} &&\n" for ours, theirs in (
        ("passwd", "/etc/passwd"), ("group", "/etc/group"), ("pam.d", "/etc/pam.d"),
        ("logger", "/usr/bin/logger")))
    t.script("in-namespace", mounts + f'exec {agent} "$@"\n')
    return t.script("agent", f'exec unshare -m {t.path("in-namespace")} "$@"\n')


def may_unshare():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "-m", "mount", "--bind", "/etc/passwd", "/etc/passwd"], check=False,
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def start(t, agent, **more):
    if not may_unshare():
        raise Skip("needs root and a mount namespace")
    if not os.path.exists("/usr/bin/logger"):
        raise Skip("needs /usr/bin/logger to put another in its place")
    if agent == PAM_AGENT and b"pam_start" not in open(agent, "rb").read():
        raise Skip("built without PAM")
    # A report of the sanitizers in the user's own file: the log of the test is root's.
    os.chmod(t.dir, 0o1777)
    dom0 = Dom0(t, program=namespace(t, agent), run_as="root", user=USER,
                env={"SECRET": "of the agent"}, **more)
    os.chmod(t.path("rpc"), 0o755)
    return dom0


def both(name):
    """A case for each way of becoming a user."""
    def register(function):
        for agent, how in ((PAM_AGENT, "PAM"), (SU_AGENT, "su")):
            case(f"{name}, {how}")(lambda t, agent=agent: function(t, start(t, agent)))
        return function
    return register


# If this failed, a service would have the rights, the home or the secrets of another account.
@both("root-01 a service and a shell command are the user's")
def _(t, dom0):
    service(t, "qubes.Show", SHOW + "exit 7\n")
    home = t.path("home")
    who = f"{USER} {GID} {GID} {GROUP} {home} {home} /bin/sh {USER} {USER}\n"
    dom0.ends(dom0.rpc("qubes.Show+arg domX"), 7,
              (who + "1 [arg] domX qubes.Show+arg none\n").encode())
    dom0.ends(dom0.rpc("qubes.Show domX"), 7, (who + "0 [] domX qubes.Show none\n").encode())
    dom0.ends(dom0.call(f"{USER}:{SHOW.strip()}; echo $0; exit 3"), 3,
              (who + "0 []   none\n-sh\n").encode())
    channel = dom0.call(f"{USER}:cat; exit 4")
    channel.send_message(DATA_STDIN, b"input")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 4, b"input")


# If this failed, another qube could choose options of su, and with them a command of its own.
@both("root-02 an argument is an argument, whatever it looks like")
def _(t, dom0):
    service(t, "qubes.Show", 'echo "$# [$1]"\n')
    for argument in ("-cid", "-groot", "--help", "--", "-", "-c", "-sid", "a.b_c-d+e"):
        dom0.ends(dom0.rpc(f"qubes.Show+{argument} domX"), 0, f"1 [{argument}]\n".encode())


# If this failed, a caller would take a killed service for one that succeeded.
@both("root-03 a service that is killed: 128 and the signal")
def _(t, dom0):
    service(t, "qubes.Kill", "kill -$1 $$\n")
    for name, signo in (("KILL", 9), ("TERM", 15), ("USR1", 10)):
        channel = dom0.rpc(f"qubes.Kill+{name} domX")
        equal(collect(channel.recv_all_messages())[2], 128 + signo, name)
        dom0.terminated(channel)


@both("root-04 an unknown user: 125, and nothing runs")
def _(t, dom0):
    service(t, "qubes.Mark", f"touch {t.path('home')}/ran\n")
    for command in ("qnobody:QUBESRPC qubes.Mark domX", f"qnobody:touch {t.path('home')}/ran"):
        channel = dom0.call(command)
        equal(collect(channel.recv_all_messages())[::2], (b"", PROBLEM), command)
        dom0.terminated(channel)
    check(not os.path.exists(t.path("home/ran")), "nothing ran")


@both("root-05 the service holds descriptors 0 to 2, of which it can open standard error")
def _(t, dom0):
    service(t, "qubes.Fds", "echo complaint >/dev/stderr; exec ls /proc/self/fd\n")
    dom0.ends(dom0.rpc("qubes.Fds domX"), 0, b"0\n1\n2\n3\n", b"complaint\n")


def pam(name):
    return lambda function: case(name)(lambda t: function(t, start(t, PAM_AGENT)))


# If this failed, what the administrator's PAM sets up for a session would be missing or left behind.
@pam("root-06 PAM: the session is opened, gives its environment, and is closed")
def _(t, dom0):
    service(t, "qubes.Env", 'echo "$FROM_PAM $QREXEC_AGENT_PID"; cat\n')
    channel = dom0.rpc("qubes.Env domX")
    kind, line = channel.recv_message()
    check(kind == DATA_STDOUT and line.startswith(b"yes "), line)
    equal(t.read("sessions"), f"open_session {USER}\n".encode())
    channel.send_message(DATA_STDIN)
    equal(collect(channel.recv_all_messages())[2], 0)
    dom0.terminated(channel)
    equal(t.read("sessions"), f"open_session {USER}\nclose_session {USER}\n".encode())


@pam("root-07 PAM refuses: 125, and nothing runs")
def _(t, dom0):
    service(t, "qubes.Mark", f"touch {t.dir}/ran\n")
    dom0.ends(dom0.call(f"{DENIED}:QUBESRPC qubes.Mark domX"), PROBLEM)
    check(not os.path.exists(t.path("ran")), "nothing ran")
    check(not os.path.exists(t.path("sessions")), "no session")
    wait_for(lambda: b"no session for qdenied" in dom0.agent.stderr, "a line in the agent's log")


# If this failed, an administrator would look in vain for what a service complained about.
@pam("root-08 PAM: standard error goes to the caller and to the system log")
def _(t, dom0):
    os.close(os.open(t.path("syslog"), os.O_CREAT | os.O_WRONLY, 0o666))
    service(t, "qubes.Complain", f'echo "complaint $1" >&2; readlink /proc/self/fd/0 '
                                 f'>{t.path("home")}/stdin\n')
    dom0.ends(dom0.rpc("qubes.Complain+one domX"), 0, b"", b"complaint one\n")
    wait_for(lambda: t.read("syslog") == b"-t qubes.Complain+one-domX: complaint one\n", "the log")
    channel = dom0.rpc("qubes.Complain+two domX", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(0))])
    dom0.terminated(channel)
    wait_for(lambda: t.read("syslog").endswith(b"-t qubes.Complain+two-domX: complaint two\n"),
             "the log of a service that was only started")
    equal(t.read("home/stdin"), b"/dev/null\n")


@pam("root-09 PAM: a session that cannot be opened is 125")
def _(t, dom0):
    t.script("hook", "exit 1\n")
    service(t, "qubes.Show", SHOW)
    dom0.ends(dom0.rpc("qubes.Show domX"), PROBLEM)


# If this failed, each call would leave a process behind, or a killed agent would cut sessions open.
@pam("root-10 PAM: nothing is left of 20 calls at once")
def _(t, dom0):
    service(t, "qubes.Cat", "exec cat\n")
    channels = [dom0.rpc("qubes.Cat domX") for _ in range(20)]
    for channel in channels:
        channel.send_message(DATA_STDIN, b"x")
        channel.send_message(DATA_STDIN)
    for channel in channels:
        equal(collect(channel.recv_all_messages()), (b"x", b"", 0))
    for _ in channels:
        equal(dom0.control.recv_message()[0], CONNECTION_TERMINATED)
    equal(t.read("sessions").count(b"close_session"), 20)

    def users():
        found = []
        for pid in descendants(os.getpid()):
            try:
                if os.stat(f"/proc/{pid}").st_uid == UID:
                    found.append(pid)
            except OSError:
                pass
        return found
    wait_for(lambda: not users(), "no process of the user is left")


# If this failed, one user of a qube could keep all others, root included, from calling.
@case("root-11 a user's requests leave slots for others")
def _(t):
    if os.geteuid() != 0:
        raise Skip("needs root to be two users")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    share, more = 4096, 16      # half of 8192; qube/agent/trigger.c
    if hard < share + 256:
        raise Skip("needs more descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.chmod(t.dir, 0o1777)
    dom0 = Dom0(t, run_as="root", user="root")
    request = pack_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    clients = []
    os.seteuid(UID)
    try:
        for _ in range(share + more):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            clients.append(sock)
            sock.connect(t.path("agent.sock"))
            try:
                sock.send(request)
            except OSError:     # closed already
                pass
            if len(clients) <= share:
                dom0.control.recv_message()
    finally:
        os.seteuid(0)
    for sock in clients[share:]:
        sock.settimeout(HANG)
        try:
            equal(sock.recv(1), b"", "beyond the share")
        except ConnectionResetError:
            pass
    other = t.connect(t.path("agent.sock"))
    other.send_message(TRIGGER_SERVICE4, pack_trigger4("of.Root", "b", "SOCKET"))
    equal(unpack_trigger4(dom0.control.recv_message()[1])[3], b"of.Root\0")
    # One that ends makes room for the user's next.
    clients[0].close()

    def served():
        os.seteuid(UID)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(t.path("agent.sock"))
                sock.send(request)
                sock.settimeout(0.2)
                return sock.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False
        finally:
            os.seteuid(0)
    wait_for(served, "room for the user's next request")
    for sock in clients:
        sock.close()


if __name__ == "__main__":
    main()
