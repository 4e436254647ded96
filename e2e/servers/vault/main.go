// Command vault is the unmodified Vault server and client with every builtin auth method, built from pinned modules.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
