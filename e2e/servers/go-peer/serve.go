package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	generatorv1 "external-secrets.io/e2e/servers/go-peer/gen/generator/v1"
	providerv1 "external-secrets.io/e2e/servers/go-peer/gen/provider/v1"
)

// serve is a provider until it is told to stop; then running calls may end.
func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "host:port to listen on")
	secrets := flags.String("secrets", "", "JSON file of the secrets to begin with: an object of strings; any reference leads to them")
	objects := flags.String("objects", "", "JSON file of config objects and of who has credentials, in place of -secrets")
	dialect := flags.String("dialect", dialectS, "s, or p as the older Go servers: other store kinds, and UNKNOWN for an absent secret")
	age := flags.Duration("max-age", 30*time.Minute, "how old a connection may get")
	requests := flags.String("requests", "", "file to which every request is appended as a line of JSON")
	files := tlsFlags(flags)
	flags.Parse(arguments)

	known, err := clusterOf(*objects, *secrets, *dialect)
	if err != nil {
		return err
	}
	authority, pair, err := files.load()
	if err != nil {
		return err
	}
	options := []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(&tls.Config{
			ClientCAs:    authority,
			ClientAuth:   tls.RequireAndVerifyClientCert,
			Certificates: []tls.Certificate{pair},
			MinVersion:   tls.VersionTLS12,
		})),
		// A client that pings more often than every 5 s is told ENHANCE_YOUR_CALM and loses its connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     15 * time.Minute,
			MaxConnectionAge:      *age,
			MaxConnectionAgeGrace: 5 * time.Minute,
			Time:                  5 * time.Minute,
			Timeout:               time.Minute,
		}),
		grpc.MaxRecvMsgSize(4 << 20),
	}
	if *requests != "" {
		note, err := recorder(*requests)
		if err != nil {
			return err
		}
		options = append(options, grpc.UnaryInterceptor(note))
	}
	server := grpc.NewServer(options...)
	providerv1.RegisterSecretStoreProviderServer(server, &memoryStore{cluster: known})
	generatorv1.RegisterGeneratorProviderServer(server, &counter{cluster: known})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

func clusterOf(objects, secrets, dialect string) (*cluster, error) {
	if dialect != dialectS && dialect != dialectP {
		return nil, fmt.Errorf("-dialect %q: there are s and p", dialect)
	}
	if objects != "" {
		return readCluster(objects, dialect)
	}
	begin := map[string]string{}
	if secrets != "" {
		content, err := os.ReadFile(secrets)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(content, &begin); err != nil {
			return nil, err
		}
	}
	return clusterOfAnything(begin, dialect), nil
}
