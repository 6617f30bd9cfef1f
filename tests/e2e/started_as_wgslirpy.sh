#!/bin/bash
# Started through a link of that name, the program takes wgslirpy's command line and its exit code for a wrong one.
. "$(dirname "$0")/../support/harness.sh"
ln -s "$PROGRAM" "$W/wgslirpy"
expect_status 0 as_user "$W/wgslirpy" --help
expect_status 1 as_user "$W/wgslirpy" --no-such-option
expect_status 1 as_user "$W/wgslirpy" -K "$PUBLIC_one" -b 127.0.0.1:51820
expect "Set exactly one of --private-key or --private-key-file" bash -c "'$W/wgslirpy' -K $PUBLIC_one -b 127.0.0.1:51820 2>&1 || true"
