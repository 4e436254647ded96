package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// loadReport counts what became of the calls.
type loadReport struct {
	Calls map[string]int64 `json:"calls"` // by code
	// The first few texts of calls that failed.
	Failures []string `json:"failures"`
	// Connections by the hash of the client's material: new bytes make a new one, as in the Go core's pool.
	Materials int `json:"materials"`
	Dials     int `json:"dials"`
	// Fingerprints of the server certificates that were seen, in the order in which they first appeared.
	Servers []string `json:"servers"`
}

// loader is the Go core under load: many workers, one pooled connection per address and material, which is read anew for
// every call, and no retries.
type loader struct {
	address, serverName, folder string
	shared                      bool

	mutex  sync.Mutex
	pool   map[[32]byte]*grpc.ClientConn
	report loadReport
	dials  atomic.Int64
}

// load calls one method until standard input ends, or -calls are done, and prints what became of it.
func load(arguments []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	l := &loader{pool: map[[32]byte]*grpc.ClientConn{}, report: loadReport{Calls: map[string]int64{}, Failures: []string{}, Servers: []string{}}}
	flags.StringVar(&l.address, "address", "", "host:port of the provider")
	flags.StringVar(&l.serverName, "server-name", "", "name that the provider's certificate must carry, if not the address's host")
	flags.StringVar(&l.folder, "tls-dir", "", "folder with ca.crt, client.crt and client.key")
	flags.BoolVar(&l.shared, "shared", true, "one connection for all calls with the same material; false: one for each call")
	workers := flags.Int("workers", 4, "calls at the same time")
	calls := flags.Int64("calls", 0, "how many calls; 0 = until standard input ends")
	flags.Parse(arguments)

	decoder := json.NewDecoder(in)
	var what step
	if err := decoder.Decode(&what); err != nil {
		return fmt.Errorf("call on standard input: %w", err)
	}
	ended := make(chan struct{})
	if *calls == 0 {
		go func() {
			io.Copy(io.Discard, in)
			close(ended)
		}()
	}
	var taken atomic.Int64
	var group sync.WaitGroup
	fails := make(chan error, *workers)
	for range *workers {
		group.Go(func() {
			for *calls == 0 || taken.Add(1) <= *calls {
				select {
				case <-ended:
					return
				default:
				}
				if err := l.once(what); err != nil {
					fails <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-fails:
		return err
	default:
	}
	l.report.Materials, l.report.Dials = len(l.pool), int(l.dials.Load())
	return json.NewEncoder(out).Encode(l.report)
}

func (l *loader) once(what step) error {
	request, response, err := messages(what.Call)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(what.Request, request); err != nil {
		return fmt.Errorf("request of %s: %w", what.Call, err)
	}
	conn, done, err := l.connection()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer := status.Convert(conn.Invoke(ctx, what.Call, request, response))
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.report.Calls[answer.Code().String()]++
	if answer.Code() != codes.OK && len(l.report.Failures) < 5 {
		l.report.Failures = append(l.report.Failures, answer.Message())
	}
	return nil
}

// connection gives the pooled one for what the files hold now, or a new one that done closes.
func (l *loader) connection() (conn *grpc.ClientConn, done func(), err error) {
	var material [3][]byte
	hash := sha256.New()
	// A mounted Secret is replaced by turning one link: the three files are to be of one version.
	folder, err := filepath.EvalSymlinks(l.folder)
	if err != nil {
		return nil, nil, err
	}
	for index, name := range []string{"ca.crt", "client.crt", "client.key"} {
		if material[index], err = os.ReadFile(filepath.Join(folder, name)); err != nil {
			return nil, nil, err
		}
		hash.Write(material[index])
	}
	key := [32]byte(hash.Sum(nil))
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if found, ok := l.pool[key]; ok && l.shared {
		return found, func() {}, nil
	}
	if conn, err = l.dial(material); err != nil {
		return nil, nil, err
	}
	if !l.shared {
		l.pool[key] = nil
		return conn, func() { conn.Close() }, nil
	}
	l.pool[key] = conn
	return conn, func() {}, nil
}

func (l *loader) dial(material [3][]byte) (*grpc.ClientConn, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(material[0]) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	pair, err := tls.X509KeyPair(material[1], material[2])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{pair}, ServerName: l.serverName, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			l.saw(state.PeerCertificates[0])
			return nil
		},
	}
	return grpc.NewClient(l.address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(4<<20)),
		grpc.WithContextDialer(func(ctx context.Context, target string) (net.Conn, error) {
			l.dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "tcp", target)
		}),
	)
}

func (l *loader) saw(certificate *x509.Certificate) {
	print := fmt.Sprintf("%x", sha256.Sum256(certificate.Raw))
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, known := range l.report.Servers {
		if known == print {
			return
		}
	}
	l.report.Servers = append(l.report.Servers, print)
}
