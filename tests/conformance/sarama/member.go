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

	"github.com/IBM/sarama"
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

// What sarama calls in each session, which is a generation.
type teller struct{ topic string }

func (t teller) Setup(session sarama.ConsumerGroupSession) error {
	say("gained", t.claims(session)...)
	return nil
}

func (t teller) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	say("gave", t.claims(session)...)
	return nil
}

func (t teller) claims(session sarama.ConsumerGroupSession) (numbers []any) {
	for _, partition := range session.Claims()[t.topic] {
		numbers = append(numbers, partition)
	}
	return numbers
}

func (t teller) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, more := <-claim.Messages():
			if !more {
				return nil
			}
			say("record", m.Partition, m.Offset)
			session.MarkMessage(m, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func member(arguments []string) {
	var bootstrap, topic, group, protocol, instance string
	flags := flag.NewFlagSet("member", flag.ExitOnError)
	flags.StringVar(&bootstrap, "bootstrap", "", "host:port")
	flags.StringVar(&topic, "topic", "", "topic")
	flags.StringVar(&group, "group", "", "group")
	flags.StringVar(&protocol, "protocol", "", "range or sticky")
	flags.StringVar(&instance, "instance", "", "name of a static member")
	ms := flags.Int("session-ms", 0, "session timeout")
	must(flags.Parse(arguments))

	c := sarama.NewConfig()
	c.Version = sarama.V2_4_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Group.Session.Timeout = time.Duration(*ms) * time.Millisecond
	c.Consumer.Group.Heartbeat.Interval = c.Consumer.Group.Session.Timeout / 6
	c.Consumer.Group.InstanceId = instance
	strategy := map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "sticky": sarama.NewBalanceStrategySticky(),
	}[protocol]
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	consumers, err := sarama.NewConsumerGroup([]string{bootstrap}, group, c)
	must(err)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	go func() {
		for failure := range consumers.Errors() {
			fmt.Fprintln(os.Stderr, failure)
		}
	}()
	for ctx.Err() == nil {
		if err := consumers.Consume(ctx, []string{topic}, teller{topic}); err != nil && !errors.Is(err, context.Canceled) {
			must(err)
		}
	}
	must(consumers.Close())
	say("left")
}
