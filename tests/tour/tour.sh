#!/usr/bin/env bash
# The main job from beginning to end: a server, an SSIM file loaded by COPY, violations in psql.
# The server stays until Enter is pressed (or, without a terminal, ends at once); its data is thrown away.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=$(mktemp -d)
ready=$data/ready
cargo run --quiet --bin rotabase -- start --data "$data/schedule" --listen 127.0.0.1:0 --http 127.0.0.1:0 > "$ready" &
server=$!
trap 'kill -TERM $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$data"' EXIT
until grep -q 'port=' "$ready"; do
    kill -0 $server || exit 1
    sleep 0.1
done
cat "$ready"
psql -X "$(sed -n 's/.*psql "\([^"]*\)".*/\1/p' "$ready")" -f tests/tour/tour.sql
if [ -t 0 ]; then
    read -r -p "The server runs on: try the psql line above in another terminal. Enter ends it. "
fi
