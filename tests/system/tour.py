# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole system, as ./run starts it, twice: what it shows at first, and that it finds the user's qubes as
they were. If this failed, a person who runs the two commands of README would see something go wrong.

Prints TAP: each step of the tour that says "ok" or "WRONG", and what must hold around it."""

import os
import re
import stat
import subprocess
import sys

SOURCE = os.environ["SKERRY_SOURCE"]
STAGE = os.path.join(SOURCE, "build/stage/usr/local")
ROOT = os.path.join(os.environ.get("TMPDIR", "/tmp"), "skerry-system")
LIMIT = 600  # seconds; only a hang takes so long
count = 0
bad = False


def report(good, name, detail=""):
    global count, bad
    count += 1
    bad |= not good
    print("ok" if good else "not ok", count, "-", name, flush=True)
    for line in detail.splitlines() if not good else []:
        print("#", line, flush=True)


def tour(*words):
    env = dict(os.environ, NO_COLOR="1")
    env.pop("SKERRY_BUILD", None)
    try:
        r = subprocess.run([sys.executable, os.path.join(SOURCE, "scripts/tour.py"), "--root", ROOT, *words], env=env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                           check=False)
        return r.returncode, r.stdout.decode(errors="backslashreplace")
    except subprocess.TimeoutExpired as error:
        return 124, (error.stdout or b"").decode(errors="backslashreplace") + "\nno end within the limit"


def numberless(text):
    """A step's name without what differs between two runs."""
    return re.sub(r"\d[\d.,]*", "N", text).strip()


def steps(name, output):
    """Each step of a tour is a result."""
    found = re.findall(r"^   (ok|WRONG)  (.*)$", output, re.M)
    for word, text in found:
        report(word == "ok", f"{name}: {numberless(text)}", output)
    return len(found)


def command(*words, root=ROOT):
    env = dict(os.environ, SKERRY_ROOT=root)
    return subprocess.run([os.path.join(STAGE, "bin", words[0]), *words[1:]], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False)


def logs():
    text = ""
    folder = os.path.join(ROOT, "var/log/qubes")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), encoding="utf-8", errors="backslashreplace") as file:
            text += f"--- {name}\n" + "".join(file.readlines()[-12:])
    return text


def no_sockets(when):
    sockets = [path for d, _, files in os.walk(os.path.join(ROOT, "run")) for path in (os.path.join(d, f) for f in files)
               if stat.S_ISSOCK(os.lstat(path).st_mode)]
    report(not sockets, when + ": no socket is left in run", "\n".join(sockets))


# If this failed, a user would need to know of skerryd to have his qubes back after a restart of the machine.
def by_hand():
    up = command("skerry", "up")
    report(up.returncode == 0, "skerry up starts the system", f"{up}\n{logs()}")
    again = command("skerry", "up")
    report(again.returncode == 1 and b"the system runs already" in again.stdout, "a second skerry up is told so", str(again))
    listed = command("skerry", "ls")
    report(listed.returncode == 0 and b"vault" in listed.stdout, "the qubes are there", str(listed))
    down = command("skerry", "down")
    report(down.returncode == 0, "skerry down stops it", f"{down}\n{logs()}")
    no_sockets("after skerry down")
    idle = command("skerry", "down")
    report(idle.returncode == 0 and b"nothing runs" in idle.stdout, "a second skerry down finds nothing", str(idle))
    folder = os.path.join(ROOT, "run/skerry")
    os.rename(folder, folder + ".away")
    with open(folder, "x", encoding="ascii"):
        pass
    failed = command("skerry", "up")
    report(failed.returncode == 1 and b"did not start" in failed.stdout and b"run/skerry" in failed.stdout,
           "a start that fails shows the log and where it is", str(failed))
    os.unlink(folder)
    os.rename(folder + ".away", folder)
    fresh()


# If this failed, a system made without the tour would refuse every call and know no service of dom0.
def fresh():
    root = ROOT + "-fresh"
    up = command("skerry", "up", root=root)
    init = command("skerry", "init", root=root)
    policy = command("qubes-policy", "-l", root=root)
    down = command("skerry", "down", root=root)
    report(up.returncode == 0 and init.returncode == 0 and down.returncode == 0, "a new system by skerry up and init",
           f"{up}\n{init}\n{down}")
    report(policy.returncode == 0 and b"90-default\n" in policy.stdout and b"90-admin-policy-default\n" in policy.stdout,
           "it has the default policy and the services that administer it", str(policy))
    rule = os.path.join(root, "etc/qubes/policy.d/90-default.policy")
    with open(rule, "w", encoding="ascii") as file:
        file.write("# mine\n")
    command("skerry", "up", root=root)
    with open(rule, encoding="ascii") as file:
        report(file.read() == "# mine\n", "what the user changed stays")
    command("skerry", "down", root=root)


def main():
    if not os.path.exists(STAGE):
        print("1..0 # SKIP build/stage is not there: scripts/setup.sh release makes it")
        return 0
    status, output = tour()
    n = steps("first", output)
    report(status == 0 and n >= 13, "first: it ends with status 0, and no step was left out", f"{status}\n{output}\n{logs()}")
    again, output = tour()
    steps("again", output)
    report(again == 0 and "nothing to do: template, network and disposables are there" in output and
           "$ skerry create" not in output, "again: it finds the template and the qubes that were there",
           f"{again}\n{output}\n{logs()}")
    stopped, output = tour("--stop")
    report(stopped == 0 and "nothing runs" in output, "nothing runs afterwards", output)
    left = command("skerry", "ls")
    report(left.returncode != 0, "no socket answers afterwards", left.stdout.decode(errors="backslashreplace"))
    no_sockets("after the tour")
    by_hand()
    print(f"1..{count}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
