# SPDX-License-Identifier: GPL-2.0-or-later
"""skerry-storage and its workers, attacked from inside their own confinement.

If this fails, whoever takes over a worker by what stands in a volume or an archive can reach other pools,
start programs, or open connections. Each attack is run in a test build by the process itself, after
confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

BUILD = os.environ["SKERRY_BUILD"]
HANG = 60  # seconds; only a fault takes so long
ANYWHERE = """connect-path connect-abstract connect-tcp listen-tcp make-socket run-program attach
map-executable make-executable change-user name-host mount new-user-space load-bpf use-keyring
attach-segment be-readable leave-core gain-privileges""".split()
# A worker has the folders of its pools; the service starts workers, so it may make a process, and it
# signals them. What it opens is one folder, but no rule of the kernel says so.
WORKER = ANYWHERE + """open-secret open-to-write create-file list-folder open-passwd remove-file
make-folder make-process read-memory signal-other""".split()


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cs")
        os.makedirs(os.path.join(self.dir, "root/run/qubes"))
        # There already: only the worker that makes a new pool has the folder that it is made in.
        os.mkdir(os.path.join(self.dir, "pool"))
        with open(os.path.join(self.dir, "secret"), "w") as f:
            f.write("secret\n")
        with open(os.path.join(self.dir, "victim"), "w") as f:
            f.write("x\n")
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(os.path.join(self.dir, "socket"))
        self.path.listen(8)
        self.name = "skerry-storage-%d" % os.getpid()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen(8)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.victim = subprocess.Popen(["sleep", "1000"])

    def run(self, program, attack):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = dict(os.environ, SKERRY_ATTACK="%s:%s" % (program, attack),
                   SKERRY_ROOT=os.path.join(self.dir, "root"))
        env["SKERRY_ATTACK_WORLD"] = "%s %s %d -1 -1 %d 0 0" % (
            self.dir, self.name, self.tcp.getsockname()[1], self.victim.pid)
        with subprocess.Popen([os.path.join(BUILD, "services/storage/skerry-storage"),
                               "--admin-fd=%d" % theirs.fileno(), "--give=devices"], pass_fds=[theirs.fileno()], env=env,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            theirs.close()
            pool = os.path.join(self.dir, "pool")
            try:
                ours.send(struct.pack("<4IqQ64s64s64s256s256s256sI", 1, 1, 0, 2, 0, 0, b"p", b"", b"", b"", b"",
                                      pool.encode(), 0))
                ours.recv(2000)
            except OSError:
                pass
            # How the process for devices ended its parent tells, if it is still there to see it.
            said = b""
            while program.endswith("-devices") and b"status 0x" not in said and b"attack %s: " % attack.encode() not in said:
                if not select.select([process.stderr], [], [], HANG)[0]:
                    break
                more = os.read(process.stderr.fileno(), 65536)
                if not more:
                    break
                said += more
            ours.close()
            said += process.stderr.read()
        return process.returncode, said

    def close(self):
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    world = World()
    failed = number = 0
    programs = (("skerry-storage-worker", WORKER), ("skerry-storage", ANYWHERE), ("skerry-storage-devices", WORKER))
    print("1..%d" % sum(len(attacks) for _, attacks in programs))
    for program, attacks in programs:
        for attack in attacks:
            number += 1
            status, said = world.run(program, attack)
            answer = [l for l in said.splitlines() if ("attack %s: " % attack).encode() in l]
            began = ("attack %s begins" % attack).encode() in said
            # Killed by the kernel (a filter's signal is 31, SIGSYS), or refused with an error number.
            killed = status == -31 or b"status 0x1f" in said or b"status 0x9f" in said
            good = began and (killed if not answer else not answer[0].endswith(b": 0"))
            failed += not good
            print("%sok %d - %s: %s" % ("" if good else "not ", number, program, attack))
            if not good:
                print("# status %d, said: %r" % (status, said[-500:]))
    world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
