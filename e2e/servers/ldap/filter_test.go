package main

import (
	"testing"

	"github.com/jimlambrt/gldap"
)

const (
	people = "ou=people,dc=example,dc=com"
	alice  = "uid=alice," + people
)

func TestFiltersSelectWhatTheySay(t *testing.T) {
	person := entry{DN: alice, Attributes: map[string][]string{
		"uid":      {"alice"},
		"memberOf": {"cn=readers,dc=example,dc=com", "cn=all,dc=example,dc=com"},
	}}
	for filter, wanted := range map[string]bool{
		"(uid=alice)":                           true,
		"(UID=Alice)":                           true,
		"(uid=bob)":                             false,
		"(uid=*)":                               true,
		"(mail=*)":                              false,
		"(!(uid=bob))":                          true,
		"(!(uid=alice))":                        false,
		"(&(uid=alice)(memberOf=*))":            true,
		"(&(uid=alice)(mail=*))":                false,
		"(|(mail=*)(uid=alice))":                true,
		"(|(mail=*)(uid=bob))":                  false,
		"(memberOf=CN=all, DC=example, DC=com)": true,
		"(memberOf=cn=none,dc=example,dc=com)":  false,
		"(&(uid=alice)(|(mail=*)(!(uid=bob))))": true,
		"(uid=\\61lice)":                        true,
	} {
		holds, err := compile(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
		} else if got := holds(person); got != wanted {
			t.Errorf("%s: %v, wanted %v", filter, got, wanted)
		}
	}
}

func TestWhatIsNotSupportedIsAnErrorAndNotAnEmptyAnswer(t *testing.T) {
	for _, filter := range []string{"(uid=al*)", "(uid>=a)", "uid", "(uid=alice"} {
		if _, err := compile(filter); err == nil {
			t.Errorf("%s was taken for a filter", filter)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, one := range []struct {
		dn, base string
		scope    gldap.Scope
		wanted   bool
	}{
		{alice, alice, gldap.BaseObject, true},
		{alice, people, gldap.BaseObject, false},
		{alice, people, gldap.SingleLevel, true},
		{alice, "dc=example,dc=com", gldap.SingleLevel, false},
		{alice, "DC=Example,DC=com", gldap.WholeSubtree, true},
		{alice, "ou=groups,dc=example,dc=com", gldap.WholeSubtree, false},
	} {
		if got := inScope(one.dn, one.base, one.scope); got != one.wanted {
			t.Errorf("%s below %s in scope %v: %v, wanted %v", one.dn, one.base, one.scope, got, one.wanted)
		}
	}
}

func TestAnEmptyPasswordIsNeverAccepted(t *testing.T) {
	known := &directory{entries: []entry{{DN: alice, Password: "right"}, {DN: people}}}
	for password, wanted := range map[string]bool{"right": true, "wrong": false, "": false} {
		if got := known.accepts(alice, password); got != wanted {
			t.Errorf("password %q: %v, wanted %v", password, got, wanted)
		}
	}
	if known.accepts(people, "") {
		t.Error("an entry without a password was bound")
	}
}
