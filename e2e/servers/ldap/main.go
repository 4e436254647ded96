// Command ldap is a small LDAP directory for tests: simple bind, search with the usual filters, LDAPS or plain TCP.
// Its entries come from a JSON file and never change. Searching needs a bind first, as in most directories.
package main

import (
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/jimlambrt/gldap"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ldap:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:10389", "host:port to listen on")
	file := flag.String("entries", "", "JSON file: a list of {dn, password, attributes}")
	cert := flag.String("cert", "", "PEM certificate; speaks LDAPS if given")
	key := flag.String("key", "", "PEM key of the certificate")
	flag.Parse()

	directory, err := load(*file)
	if err != nil {
		return err
	}
	server, err := gldap.NewServer(gldap.WithLogger(hclog.New(&hclog.LoggerOptions{Output: io.Discard})))
	if err != nil {
		return err
	}
	mux, err := gldap.NewMux()
	if err != nil {
		return err
	}
	if err := mux.Bind(directory.bind); err != nil {
		return err
	}
	if err := mux.Search(directory.search); err != nil {
		return err
	}
	if err := server.Router(mux); err != nil {
		return err
	}
	options := []gldap.Option{}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		options = append(options, gldap.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}}))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	failed := make(chan error, 1)
	go func() { failed <- server.Run(*listen, options...) }()
	select {
	case err := <-failed:
		return err
	case <-stop:
		return server.Stop()
	}
}

type entry struct {
	DN         string              `json:"dn"`
	Password   string              `json:"password"`
	Attributes map[string][]string `json:"attributes"`
}

type directory struct {
	entries []entry
	mutex   sync.Mutex
	// The connections on which somebody has said who they are.
	bound map[int]bool
}

func load(file string) (*directory, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	made := &directory{bound: map[int]bool{}}
	if err := json.Unmarshal(content, &made.entries); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return made, nil
}

func (d *directory) bind(out *gldap.ResponseWriter, request *gldap.Request) {
	code := gldap.ResultInvalidCredentials
	if message, err := request.GetSimpleBindMessage(); err == nil && d.accepts(message.UserName, string(message.Password)) {
		code = gldap.ResultSuccess
	}
	d.mutex.Lock()
	d.bound[request.ConnectionID()] = code == gldap.ResultSuccess
	d.mutex.Unlock()
	out.Write(request.NewBindResponse(gldap.WithResponseCode(code)))
}

// accepts refuses an empty password: that would be an "unauthenticated bind", which proves nothing.
func (d *directory) accepts(dn, password string) bool {
	for _, known := range d.entries {
		if sameDN(known.DN, dn) && known.Password != "" {
			return subtle.ConstantTimeCompare([]byte(known.Password), []byte(password)) == 1
		}
	}
	return false
}

func (d *directory) search(out *gldap.ResponseWriter, request *gldap.Request) {
	done := request.NewSearchDoneResponse(gldap.WithResponseCode(gldap.ResultSuccess))
	defer func() { out.Write(done) }()
	d.mutex.Lock()
	bound := d.bound[request.ConnectionID()]
	d.mutex.Unlock()
	if !bound {
		done.SetResultCode(gldap.ResultInsufficientAccessRights)
		return
	}
	message, err := request.GetSearchMessage()
	if err != nil {
		done.SetResultCode(gldap.ResultProtocolError)
		return
	}
	wanted, err := compile(message.Filter)
	if err != nil {
		done.SetResultCode(gldap.ResultProtocolError)
		return
	}
	if !d.exists(message.BaseDN) {
		done.SetResultCode(gldap.ResultNoSuchObject)
		return
	}
	for _, candidate := range d.entries {
		if inScope(candidate.DN, message.BaseDN, message.Scope) && wanted(candidate) {
			out.Write(request.NewSearchResponseEntry(candidate.DN, gldap.WithAttributes(candidate.Attributes)))
		}
	}
}

func (d *directory) exists(dn string) bool {
	for _, known := range d.entries {
		if sameDN(known.DN, dn) {
			return true
		}
	}
	return false
}
