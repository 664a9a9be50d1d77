// Publishes three messages, then consumes and acks them over one gRPC stream. What ends meanwhile is begun again.
// Server: twistd --pidfile= -n quickpulse --mode all. docs/languages.md says how to build it.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	qp "example/quickpulsev1"
)

const subscription = 1 // the request_id of our subscription; each connection has its own

func again(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// publish sends a batch until it is answered: under one batch_key its messages are stored once.
func publish(queues qp.QueuesClient, queue string, payloads ...[]byte) (*qp.PublishReply, error) {
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	request := &qp.PublishRequest{Queue: queue, Batch: &qp.Batch{Payloads: payloads}, BatchKey: key}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		reply, err := queues.Publish(ctx, request)
		cancel()
		if !again(err) {
			return reply, err
		}
		log.Printf("again in a second: %v", err)
		time.Sleep(time.Second)
	}
}

// consume hands each message to work, until that says false or the stream fails. What was not acked comes again.
func consume(queues qp.QueuesClient, queue string, work func(payload []byte) bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := queues.Connect(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&qp.ClientFrame{RequestId: subscription, Request: &qp.ClientFrame_Subscribe{
		Subscribe: &qp.SubscribeRequest{Queue: queue, CreditMessages: 100, ReleaseOnDisconnect: true}}}); err != nil {
		return err
	}
	for requestID := uint32(subscription + 1); ; {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		if refused := frame.GetError(); refused != nil {
			return status.Error(codes.Code(refused.Code), refused.Reason)
		}
		if ended := frame.GetSubscriptionEnded(); ended != nil {
			return status.Error(codes.Code(ended.GetError().GetCode()), ended.GetError().GetReason())
		}
		deliveries := frame.GetDeliveries()
		for index, payload := range deliveries.GetBatch().GetPayloads() {
			more := work(payload)
			receipt := deliveries.FirstReceipt + uint64(index)
			// A call of its own, as a receipt is worth the same on every connection: it returns when the ack has arrived.
			if _, err := queues.Settle(ctx, &qp.SettleRequest{Queue: queue, Action: qp.Action_ACK,
				Receipts: []*qp.ReceiptRange{{First: receipt, Last: receipt}}}); err != nil || !more {
				return err
			}
			if err := stream.Send(&qp.ClientFrame{RequestId: requestID, Request: &qp.ClientFrame_Credit{
				Credit: &qp.Credit{SubscriptionId: subscription, AddMessages: 1}}}); err != nil {
				return err
			}
			requestID++
		}
	}
}

func main() {
	server := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		server = os.Args[1]
	}
	// Pings find a connection that has died in silence.
	connection, err := grpc.Dial(server, grpc.WithInsecure(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	queues := qp.NewQueuesClient(connection)
	reply, err := publish(queues, "jobs", []byte("one"), []byte("two"), []byte("three"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(reply.Sequences), len(reply.Rejections))
	seen := 0
	for {
		err := consume(queues, "jobs", func(payload []byte) bool {
			fmt.Println(string(payload))
			seen++
			return seen < 3
		})
		if err == nil {
			break
		}
		if !again(err) {
			log.Fatal(err)
		}
		log.Printf("again in a second: %v", err)
		time.Sleep(time.Second)
	}
}
