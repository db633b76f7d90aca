// The phase `member`: a member of a consumer group that tells what happens to it, a line for each thing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var saying sync.Mutex

func say(event string, numbers ...any) {
	saying.Lock()
	defer saying.Unlock()
	line := fmt.Sprint(time.Now().UnixMilli(), " ", event)
	for _, number := range numbers {
		line += fmt.Sprint(" ", number)
	}
	_, err := os.Stdout.WriteString(line + " .\n")
	must(err)
}

func member(arguments []string) {
	var bootstrap, topic, group, protocol, instance string
	var session time.Duration
	flags := flag.NewFlagSet("member", flag.ExitOnError)
	flags.StringVar(&bootstrap, "bootstrap", "", "host:port")
	flags.StringVar(&topic, "topic", "", "topic")
	flags.StringVar(&group, "group", "", "group")
	flags.StringVar(&protocol, "protocol", "", "range, cooperative-sticky or consumer")
	flags.StringVar(&instance, "instance", "", "name of a static member")
	ms := flags.Int("session-ms", 0, "session timeout")
	must(flags.Parse(arguments))
	session = time.Duration(*ms) * time.Millisecond

	of := func(event string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, places map[string][]int32) {
			var numbers []any
			for _, partition := range places[topic] {
				numbers = append(numbers, partition)
			}
			say(event, numbers...)
		}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(of("gained")), kgo.OnPartitionsRevoked(of("gave")), kgo.OnPartitionsLost(of("lost")),
	}
	switch protocol {
	case "range":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative-sticky":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	default:
		fail("no protocol " + protocol)
	}
	if protocol != "consumer" {
		options = append(options, kgo.SessionTimeout(session), kgo.HeartbeatInterval(session/6))
	}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	client, err := kgo.NewClient(options...)
	must(err)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 100)
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				must(err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) { say("record", r.Partition, r.Offset) })
		if !fetches.Empty() {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil && !overtaken(err) {
				must(err)
			}
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	say("left")
}

// In the midst of a rebalance: whoever gets the partition reads it again.
func overtaken(err error) bool {
	for _, known := range []error{
		kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch, kerr.FencedMemberEpoch,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
