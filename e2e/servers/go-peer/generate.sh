#!/bin/sh
# Makes gen/ (or the folder given) again from the contract's baseline, which is all that Go peers know. Needs Go and buf; .venv/bin/buf is taken if buf is
# not on PATH.
set -eu
cd "$(dirname "$0")"
root=../../..
out=${1:-gen}
buf=$(command -v buf || echo "$PWD/$root/.venv/bin/buf")
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
export GOWORK=off GOFLAGS=
go build -o "$tools/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
module=external-secrets.io/e2e/servers/go-peer/gen
opt="[module=$module, Mprovider/v1/secretstore.proto=$module/provider/v1, Mgenerator/v1/generator.proto=$module/generator/v1]"
rm -rf "$out"
"$buf" generate "$root/proto/baseline/go-baseline.json" \
	--template "{version: v2, plugins: [{local: $tools/protoc-gen-go, out: $out, opt: $opt}, \
{local: $tools/protoc-gen-go-grpc, out: $out, opt: $opt}]}"
