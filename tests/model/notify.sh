#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# If this fails, a side of a vchan can sleep for ever although there is something to do.
set -eu
model=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Errors that Spin finds in the model with this defect (0: none).
errors() {
	spin -a "-DBROKEN=$1" "$model" >spin.log
	cc -O2 -w -DSAFETY -o pan pan.c
	./pan -m100000 >pan.log
	if grep -q 'max search depth too small' pan.log; then
		echo -1
		return
	fi
	sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log
}

n=0
failed=0
check() {
	n=$((n + 1))
	found=$(errors "$1")
	if test "$found" "$2" 0; then
		echo "ok $n - $3 ($(sed -n 's/ *\([0-9e+.]*\) states, stored.*/\1/p' pan.log) states)"
	else
		echo "not ok $n - $3"
		failed=1
	fi
}

if ! command -v spin >/dev/null; then
	echo "1..0 # SKIP spin is not installed"
	exit 0
fi
check 0 -eq "no wake-up is lost"
check 1 -gt "without the second look one is lost, and found"
check 2 -gt "with the event before the index one is lost, and found"
echo "1..$n"
exit $failed
