// The whole life of a booking over gRPC, from Node. Needs a Holdfast that runs (`make up`).
//   cd examples/node && npm ci && node booking.js
"use strict";

const { randomUUID } = require("node:crypto");
const path = require("node:path");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const protos = path.join(__dirname, "..", "..", "proto");
const definition = loader.loadSync(
  ["holdfast/catalog/v1/catalog_service.proto", "holdfast/reservation/v1/booking_service.proto"],
  { includeDirs: [protos], enums: String, longs: Number, defaults: true, oneofs: true },
);
const { holdfast } = grpc.loadPackageDefinition(definition);

// Each method as a function that answers a promise, and waits for 10 seconds at most.
function client(Service, address) {
  const stub = new Service(address, grpc.credentials.createInsecure());
  const method = (name) => {
    const call = promisify(stub[name].bind(stub));
    return (request) => call(request, new grpc.Metadata(), { deadline: Date.now() + 10_000 });
  };
  return new Proxy({}, { get: (_, name) => (name === "close" ? () => stub.close() : method(name)) });
}

async function main() {
  const catalog = client(holdfast.catalog.v1.CatalogService, process.env.HOLDFAST_CATALOG ?? "127.0.0.1:50051");
  const bookings = client(
    holdfast.reservation.v1.BookingService,
    process.env.HOLDFAST_RESERVATION ?? "127.0.0.1:50052",
  );
  const [productId, bookingId] = [randomUUID(), randomUUID()];
  const price = { currencyCode: "EUR", minorUnits: 4900 };
  await catalog.createProduct({
    productId,
    product: { sku: `node-${productId}`, displayName: "Concert ticket", price, onHand: 100 },
  });
  const show = ({ booking }) => console.log(booking.state);
  const lines = [{ product: { productId, quantity: 2 } }];
  show(await bookings.createBooking({ bookingId, customerId: "ada", lines, hold: true }));
  show(await bookings.extendHold({ bookingId, extension: { seconds: 60 } }));
  show(await bookings.payBooking({ bookingId, success: true }));
  show(await bookings.refundBooking({ bookingId }));
  const refused = await bookings.cancelBooking({ bookingId }).catch((error) => error);
  if (refused.code !== grpc.status.FAILED_PRECONDITION) {
    throw new Error(`what was refunded cannot be cancelled: ${refused}`);
  }
  const { entries } = await bookings.listBookingHistory({ bookingId });
  for (const { sequence, toState } of entries) {
    console.log(sequence, toState);
  }
  catalog.close();
  bookings.close();
  console.log("done:", bookingId);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
