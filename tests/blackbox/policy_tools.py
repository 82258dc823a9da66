# SPDX-License-Identifier: GPL-2.0-or-later
# If this fails, a registered argument could break the policy, or an editor would not find a fault.
import os
import subprocess
import sys
import tempfile

BUILD = os.environ['SKERRY_BUILD']
count = 0
failed = 0


def check(name, good):
    global count, failed
    count += 1
    failed += not good
    print(('ok' if good else 'not ok'), count, '-', name, flush=True)


def register(root, value, service='example.Perform', backend='back', frontend='front'):
    env = {'SKERRY_ROOT': root, 'QREXEC_SERVICE_FULL_NAME': 'policy.RegisterArgument+' + service,
           'QREXEC_REMOTE_DOMAIN': backend, 'PATH': os.environ['PATH']}
    if frontend is not None:
        env['QREXEC_REQUESTED_TARGET'] = frontend
    done = subprocess.run([BUILD + '/tools/qubes-policy-register-argument'], input=value, env=env,
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


with tempfile.TemporaryDirectory() as root:
    for d in ('etc/qubes/policy.d', 'run/qubes/policy.d', 'etc/qubes-rpc/policy'):
        os.makedirs(os.path.join(root, d))
    path = os.path.join(root, 'etc/qubes/policy.d/60-registered-arguments.policy')
    check('policy-83 the rule is appended and nothing is printed', register(root, b'ARG1') == (0, b''))
    text = open(path).read()
    check('policy-83 the rule is as written', text == 'example.Perform +ARG1 front back allow\n')
    check('policy-83 again is refused', register(root, b'ARG1')[0] == 1)
    for value in (b'a' * 65, b'', b'A+B', b'ARG2\n', b'A\0B'):
        check('policy-83 %r is refused' % value[:8], register(root, value)[0] == 1)
    check('policy-83 a service with + is refused', register(root, b'ARG2', service='a+b')[0] == 1)
    check('policy-83 no frontend is refused', register(root, b'ARG2', frontend=None)[0] == 1)
    check('policy-83 a frontend of two words is refused',
          register(root, b'ARG2', frontend='a b')[0] == 1)
    check('policy-83 nothing was written by what was refused', open(path).read() == text)
    check('policy-83 a second one is appended', register(root, b'a' * 64)[0] == 0 and
          open(path).read() == text + 'example.Perform +%s front back allow\n' % ('a' * 64))
    check('policy-83 no temporary file is left', len(os.listdir(os.path.dirname(path))) == 1)

    bad = os.path.join(root, 'bad')
    with open(bad, 'w') as f:
        f.write('# x\n\nbad\n' + '\n' * 8 + '!foo\n')
    lint = subprocess.run([BUILD + '/tools/qubes-policy-lint', bad], capture_output=True, text=True,
                          timeout=60)
    lines = lint.stdout.splitlines()
    check('policy-84 both faults are reported', lint.returncode == 1 and len(lines) == 2 and
          lines[0].startswith(bad + ':3: error: ') and lines[1].startswith(bad + ':12: error: '))
    lint = subprocess.run([BUILD + '/tools/qubes-policy-lint', '-s', bad], capture_output=True, text=True,
                          timeout=60)
    check('policy-84 -s shows the line', lint.stdout.splitlines()[1].endswith(': !foo'))
    lint = subprocess.run([BUILD + '/tools/qubes-policy-lint', path], capture_output=True, text=True,
                          timeout=60)
    check('policy-84 a clean file is silent', lint.returncode == 0 and lint.stdout == '')

print('1..%d' % count)
sys.exit(failed != 0)
