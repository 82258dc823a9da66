#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The end of qubes-download-dom0-updates.sh: what was downloaded goes to dom0, which checks it.
set -u
root=${SKERRY_ROOT-}
dir=$root/var/lib/qubes/dom0-updates
# Where dom0 lays it in a qube whose system nobody changes.
[ -w "$dir" ] || dir=$HOME/.cache/qubes-dom0-updates
mkdir -p "$dir/packages" || exit 1
# What a downloader left in its cache.
if [ -d "$dir/var/cache" ]; then
	find "$dir/var/cache" -name '*.rpm' -type f -exec ln -f -t "$dir/packages" {} + || exit 1
fi
set -- "$dir/packages"/*.rpm
if ! [ -e "$1" ]; then
	echo "No packages were downloaded."
	exit 0
fi
qrexec-client-vm dom0 qubes.ReceiveUpdates "$root/usr/lib/qubes/qfile-agent" "$@"
status=$?
rm -rf "$dir/packages"
[ "$status" -eq 0 ] || echo "dom0 did not take the packages; qubes-dom0-update says there why" >&2
exit "$status"
