package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certs writes what the Go cert-controller puts into its one Secret: a CA with the serial number 0, a leaf for the server
// with the names of every Service, a leaf for the core. RSA-2048, PKCS#1, ten years. A CA that is in the folder already stays.
func certs(arguments []string) error {
	flags := flag.NewFlagSet("certs", flag.ExitOnError)
	out := flags.String("out", ".", "folder for ca.crt ca.key tls.crt tls.key client.crt client.key")
	namespace := flags.String("namespace", "external-secrets", "namespace of the Services")
	services := flags.String("services", "provider-fake", "names of the Services, with commas")
	flags.Parse(arguments)

	start := time.Now().Add(-time.Hour)
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(0),
		Subject:               pkix.Name{CommonName: "external-secrets", Organization: []string{"external-secrets"}},
		DNSNames:              []string{"external-secrets"},
		NotBefore:             start,
		NotAfter:              start.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	caKey, err := kept(*out)
	if errors.Is(err, fs.ErrNotExist) {
		caKey, err = write(*out, "ca", ca, ca, nil)
	}
	if err != nil {
		return err
	}
	var names []string
	for _, service := range strings.Split(*services, ",") {
		inside := service + "." + *namespace
		names = append(names, service, inside, inside+".svc", inside+".svc.cluster.local")
	}
	// As it was written: that has the key id, by which two authorities of one name are told apart.
	if ca, err = authority(*out); err != nil {
		return err
	}
	server := leaf("external-secrets-provider", start, x509.ExtKeyUsageServerAuth)
	server.DNSNames = names
	if _, err := write(*out, "tls", server, ca, caKey); err != nil {
		return err
	}
	_, err = write(*out, "client", leaf("external-secrets-controller", start, x509.ExtKeyUsageClientAuth), ca, caKey)
	return err
}

func leaf(name string, start time.Time, usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"external-secrets"}},
		NotBefore:    start,
		NotAfter:     start.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
	}
}

// kept gives the key of the CA in the folder.
func kept(folder string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(filepath.Join(folder, "ca.key"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("ca.key holds no key")
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

func authority(folder string) (*x509.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("ca.crt holds no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// write makes a key and a certificate of it, signed by issuer, or by itself when there is none.
func write(folder, name string, certificate, parent *x509.Certificate, issuer *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	if issuer == nil {
		issuer = key
	}
	signed, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, issuer)
	if err != nil {
		return nil, err
	}
	files := map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: signed},
		name + ".key": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)},
	}
	for file, block := range files {
		var text bytes.Buffer
		if err := pem.Encode(&text, block); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, file), text.Bytes(), 0o600); err != nil {
			return nil, err
		}
	}
	return key, nil
}
