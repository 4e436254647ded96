package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

type script struct {
	Steps []step `json:"steps"`
}

// A step is either a call or a time of doing nothing.
type step struct {
	Call    string          `json:"call,omitempty"`
	Request json.RawMessage `json:"request,omitempty"`
	Idle    string          `json:"idle,omitempty"`
}

type outcome struct {
	Call     string          `json:"call,omitempty"`
	Code     string          `json:"code,omitempty"`
	Message  string          `json:"message,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
	Idle     string          `json:"idle,omitempty"`
	// The states that the connection went through during this step; none means that it stayed as it was.
	States []string `json:"states"`
}

type report struct {
	Steps []outcome `json:"steps"`
	// How many TCP connections were opened for all of them.
	Dials int64 `json:"dials"`
	// The state of the connection when all was done.
	State string `json:"state"`
}

// call carries out a script on one client connection and prints what happened.
func call(arguments []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	address := flags.String("address", "", "host:port of the provider")
	serverName := flags.String("server-name", "", "name that the provider's certificate must carry, if not the address's host")
	deadline := flags.Duration("deadline", 30*time.Second, "deadline of each call")
	ping := flags.Duration("ping", 10*time.Second, "time between keepalive pings; 0 = none")
	files := tlsFlags(flags)
	flags.Parse(arguments)

	var todo script
	if err := json.NewDecoder(in).Decode(&todo); err != nil {
		return fmt.Errorf("script on standard input: %w", err)
	}
	authority, pair, err := files.load()
	if err != nil {
		return err
	}
	config := &tls.Config{
		RootCAs:      authority,
		Certificates: []tls.Certificate{pair},
		ServerName:   *serverName,
		MinVersion:   tls.VersionTLS12,
	}
	var dials atomic.Int64
	conn, err := grpc.NewClient(*address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: *ping, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(4<<20)),
		grpc.WithContextDialer(func(ctx context.Context, target string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "tcp", target)
		}),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	watch := watchStates(conn)
	result := report{Steps: []outcome{}}
	for _, next := range todo.Steps {
		done, err := carryOut(conn, next, *deadline)
		if err != nil {
			return err
		}
		done.States = watch.take()
		result.Steps = append(result.Steps, done)
	}
	result.Dials, result.State = dials.Load(), conn.GetState().String()
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

func carryOut(conn *grpc.ClientConn, next step, deadline time.Duration) (outcome, error) {
	if next.Idle != "" {
		pause, err := time.ParseDuration(next.Idle)
		if err != nil {
			return outcome{}, err
		}
		time.Sleep(pause)
		return outcome{Idle: next.Idle}, nil
	}
	request, response, err := messages(next.Call)
	if err != nil {
		return outcome{}, err
	}
	if len(next.Request) > 0 {
		if err := protojson.Unmarshal(next.Request, request); err != nil {
			return outcome{}, fmt.Errorf("request of %s: %w", next.Call, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	done := outcome{Call: next.Call}
	answer := status.Convert(conn.Invoke(ctx, next.Call, request, response))
	done.Code, done.Message = answer.Code().String(), answer.Message()
	if answer.Code() == codes.OK {
		done.Response, err = protojson.Marshal(response)
	}
	return done, err
}

// stateWatch collects every change of a connection's state.
type stateWatch struct {
	mutex sync.Mutex
	seen  []string
}

func watchStates(conn *grpc.ClientConn) *stateWatch {
	watch := &stateWatch{}
	go func() {
		for state := conn.GetState(); state != connectivity.Shutdown; {
			conn.WaitForStateChange(context.Background(), state)
			state = conn.GetState()
			watch.mutex.Lock()
			watch.seen = append(watch.seen, state.String())
			watch.mutex.Unlock()
		}
	}()
	return watch
}

func (w *stateWatch) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	seen := append([]string{}, w.seen...)
	w.seen = nil
	return seen
}
