package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
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

	generatorv1 "external-secrets.io/e2e/servers/go-peer/gen/generator/v1"
	providerv1 "external-secrets.io/e2e/servers/go-peer/gen/provider/v1"
)

// serve is a provider until it is told to stop; then running calls may end.
func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "host:port to listen on")
	secrets := flags.String("secrets", "", "JSON file of the secrets to begin with: an object of strings")
	absentIsUnknown := flags.Bool("absent-is-unknown", false, "say UNKNOWN for an absent secret, as the older Go servers do")
	files := tlsFlags(flags)
	flags.Parse(arguments)

	store := &memoryStore{secrets: map[string]string{}, absentIsUnknown: *absentIsUnknown}
	if *secrets != "" {
		content, err := os.ReadFile(*secrets)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, &store.secrets); err != nil {
			return err
		}
	}
	authority, pair, err := files.load()
	if err != nil {
		return err
	}
	server := grpc.NewServer(
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
			MaxConnectionAge:      30 * time.Minute,
			MaxConnectionAgeGrace: 5 * time.Minute,
			Time:                  5 * time.Minute,
			Timeout:               time.Minute,
		}),
		grpc.MaxRecvMsgSize(4<<20),
	)
	providerv1.RegisterSecretStoreProviderServer(server, store)
	generatorv1.RegisterGeneratorProviderServer(server, &counter{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
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
