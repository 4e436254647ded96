// Command etcd is the unmodified etcd server, built from a pinned module so that tests need no package manager.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
