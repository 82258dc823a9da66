# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of the policy service and the prompt, attacked from inside their own confinement.

If this fails, whoever takes over the deciding process, a helper or the prompt by what it reads can read
files, start programs, open connections or reach other processes. Each attack is run in a test build by the
program itself, after confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import pty
import shutil
import socket
import subprocess
import sys
import tempfile

BUILD = os.environ["SKERRY_BUILD"]
ATTACKS = """open-secret open-to-write create-file list-folder open-passwd remove-file make-folder
connect-path connect-abstract connect-tcp listen-tcp make-socket run-program make-process attach
read-memory signal-other map-executable make-executable change-user name-host mount new-user-space
load-bpf use-keyring attach-segment be-readable leave-core gain-privileges""".split()

# The facts helper connects to the admin service; the prompter starts qrexec-client, which has its rights: it
# makes sockets and processes, but runs the system's programs only, and has no file but theirs.
HELPERS = (("skerry-policy-facts", [a for a in ATTACKS if a not in ("make-socket", "connect-path")]),
           ("skerry-policy-recorder", ATTACKS),
           ("skerry-policy-prompter", [
               "open-secret", "open-to-write", "create-file", "list-folder", "open-passwd", "remove-file", "make-folder",
               "connect-abstract", "connect-tcp", "listen-tcp", "run-foreign", "attach", "read-memory", "signal-other",
               "gain-privileges", "be-readable", "leave-core", "mount", "name-host"]))


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cp")
        self.root = os.path.join(self.dir, "root")
        for name in ("run/qubes/policy.d", "etc/qubes/policy.d", "etc/qubes-rpc/policy", "var/log/qubes"):
            os.makedirs(os.path.join(self.root, name))
        os.symlink("../run", os.path.join(self.root, "var/run"))
        with open(os.path.join(self.dir, "secret"), "w") as f:
            f.write("secret\n")
        shutil.copy("/bin/true", os.path.join(self.dir, "runs"))
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(os.path.join(self.dir, "socket"))
        self.path.listen(8)
        self.name = "skerry-confine-%d" % os.getpid()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen(8)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.victim = subprocess.Popen(["sleep", "1000"])

    def environment(self, program, attack):
        env = dict(os.environ, SKERRY_ATTACK="%s:%s" % (program, attack), SKERRY_ROOT=self.root)
        env["SKERRY_ATTACK_WORLD"] = "%s %s %d -1 -1 %d 0 0" % (
            self.dir, self.name, self.tcp.getsockname()[1], self.victim.pid)
        return env

    def close(self):
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def run_policy(world, attack, program="skerry-policy"):
    """The starter would start what an attack has ended again and again: it is stopped after the first."""
    process = "skerry-policy-decider" if program == "skerry-policy" else program
    ends = ("attack %s: " % attack, "%s was ended by signal " % process, "%s ended with status " % process)
    said = b""
    with subprocess.Popen([os.path.join(BUILD, "services/policy/skerry-policy")], stdin=subprocess.DEVNULL,
                          env=world.environment(program, attack), stderr=subprocess.PIPE) as starter:
        for line in starter.stderr:
            said += line
            if any(end.encode() in line for end in ends):
                break
        starter.terminate()
        said += starter.stderr.read()
    killed = ("%s was ended by signal 31" % process).encode() in said
    lines = [l for l in said.splitlines() if ends[0].encode() in l]
    return subprocess.CompletedProcess([], -31 if killed and not lines else 0, stderr=b"\n".join(lines[:1]) or said)


def run_ask(world, attack):
    master, slave = pty.openpty()
    try:
        return subprocess.run([os.path.join(BUILD, "tools/skerry"), "ask", "-s", world.dir + "/ask.sock"],
                              stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                              env=world.environment("skerry-ask", attack))
    finally:
        os.close(master)
        os.close(slave)


def main():
    world = World()
    failed = number = 0
    runs = [("policy service", run_policy, ATTACKS), ("prompt", run_ask, ATTACKS)]
    for helper, some in HELPERS:
        runs.append((helper, lambda w, attack, helper=helper: run_policy(w, attack, helper), some))
    print("1..%d" % sum(len(some) for _, _, some in runs))
    for program, run, some in runs:
        for attack in some:
            number += 1
            done = run(world, attack)
            said = ("attack %s: " % attack).encode()
            answer = [l for l in done.stderr.splitlines() if said in l]
            # Killed by the kernel, or refused with an error number; anything else is not a proof.
            good = done.returncode == -31 and not answer or (
                len(answer) == 1 and not answer[0].endswith(b": 0"))
            print("%s %d - %s: %s is refused" % ("ok" if good else "not ok", number, program, attack))
            if not good:
                failed += 1
                print("# status %d: %r" % (done.returncode, done.stderr[-600:]))
    world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
