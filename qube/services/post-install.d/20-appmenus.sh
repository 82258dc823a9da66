#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The applications of this template, for the menus of the qubes that are based on it.
"${SKERRY_ROOT-}/etc/qubes-rpc/qubes.GetAppmenus" | exec qrexec-client-vm dom0 qubes.SyncAppMenus
