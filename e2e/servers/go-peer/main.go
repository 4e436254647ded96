// Command go-peer is the Go side of the contract for tests: grpc-go with mutual TLS and the Go implementation's keepalive,
// knowing the baseline of the contract only, and the health service.
//
// `go-peer call` is a core. It reads a JSON script from standard input, carries it out on one client connection that is
// pinged every 10 s even while no call is running, and prints what happened as JSON:
//
//	{"steps": [
//	  {"call": "/provider.v1.SecretStoreProvider/GetSecret", "request": {"remoteRef": {"key": "a"}}},
//	  {"idle": "60s"},
//	  {"call": "/grpc.health.v1.Health/Check"}
//	]}
//
// `go-peer load` is a core under load: it repeats one call until standard input ends, and reads its certificates anew each time.
//
// `go-peer serve` is a provider that keeps its secrets in memory. `go-peer certs` makes the certificates for both, as the Go
// cert-controller does.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case "call":
			return call(arguments[1:], os.Stdin, os.Stdout)
		case "load":
			return load(arguments[1:], os.Stdin, os.Stdout)
		case "serve":
			return serve(arguments[1:])
		case "certs":
			return certs(arguments[1:])
		}
	}
	return errors.New("usage: go-peer call|load|serve|certs [flags]")
}

type tlsFiles struct {
	ca, cert, key string
}

func tlsFlags(flags *flag.FlagSet) *tlsFiles {
	files := &tlsFiles{}
	flags.StringVar(&files.ca, "ca", "", "PEM file of the authority that the other side's certificate must come from")
	flags.StringVar(&files.cert, "cert", "", "PEM file of our own certificate")
	flags.StringVar(&files.key, "key", "", "PEM file of its key")
	return files
}

func (f *tlsFiles) load() (*x509.CertPool, tls.Certificate, error) {
	authority, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, tls.Certificate{}, errors.New(f.ca + " holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	return pool, pair, err
}
