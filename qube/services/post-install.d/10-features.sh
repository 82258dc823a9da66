#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the agent in this template can do.
set --
for service in "${SKERRY_ROOT-}"/etc/qubes-rpc/*; do
	name=${service##*/}
	case $name in
	*+*) ;;
	*) set -- "$@" "supported-rpc.$name=1" ;;
	esac
done
if [ -r /etc/os-release ]; then
	# shellcheck disable=SC1091 # the system's
	. /etc/os-release
	set -- "$@" "os-distribution=${ID-}" "os-version=${VERSION_ID-}"
fi
exec qvm-features-request os=Linux qrexec=1 vmexec=1 "$@" --commit
