// Command sumdb has the code of Go's checksum database judge what Dino signed.
//
//	sumdb note FILE VKEY
//	sumdb proof FILE VKEY              a tlog-proof with the line as its extra data
//	sumdb consistency FILE VKEY NOTE   what a witness is sent, and the checkpoint it saw before
package main

import (
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	log.SetFlags(0)
	what, text, vkey := os.Args[1], read(os.Args[2]), os.Args[3]
	head, signed, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	switch what {
	case "note":
		size, root := open(text, vkey)
		fmt.Println(size, root)
	case "proof":
		size, root := open(signed, vkey)
		leaf := tlog.RecordHash(decode(strings.TrimPrefix(lines[1], "extra ")))
		index := number(strings.TrimPrefix(lines[2], "index "))
		check(tlog.CheckRecord(hashes(lines[3:]), size, root, index, leaf))
		fmt.Println(index, size)
	case "consistency":
		size, root := open(signed, vkey)
		oldSize, oldRoot := open(read(os.Args[4]), vkey)
		check(tlog.CheckTree(tlog.TreeProof(hashes(lines[1:])), size, root, oldSize, oldRoot))
		fmt.Println(oldSize, size)
	}
}

// open returns size and root of a checkpoint that the owner of vkey signed.
func open(text, vkey string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	return number(lines[1]), hash(lines[2])
}

func hashes(lines []string) tlog.RecordProof {
	var found tlog.RecordProof
	for _, line := range lines {
		found = append(found, hash(line))
	}
	return found
}

func hash(line string) tlog.Hash {
	var found tlog.Hash
	if copy(found[:], decode(line)) != tlog.HashSize {
		log.Fatalf("not a hash: %q", line)
	}
	return found
}

func decode(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	check(err)
	return data
}

func number(text string) int64 {
	found, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return found
}

func read(file string) string {
	data, err := os.ReadFile(file)
	check(err)
	return string(data)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
