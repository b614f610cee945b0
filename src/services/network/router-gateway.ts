import type { Query } from '../../db/engine.ts';
import { gatewayInUse } from '../../model/errors-routers.ts';
import type { GroupContext } from './default-group.ts';
import { ROUTER_GATEWAY } from './floating-links.ts';
import { changeAddresses, type FixedIpWish, insertPort, lockPort, removePort, servicePort } from './port-rows.ts';
import type { RouterRow } from './router-rows.ts';

export interface GatewayWish {
  readonly networkUuid: string;
  readonly snat: boolean | undefined;
  readonly fixedIps: readonly FixedIpWish[] | undefined;
}

async function mustNotBeNeeded(tx: Query, router: RouterRow): Promise<void> {
  const needed = await tx.selectFrom('net_floating_ips').select('uuid').where('router_uuid', '=', router.uuid).limit(1).executeTakeFirst();
  if (needed) throw gatewayInUse({ router: router.uuid, network: router.gateway_network_uuid ?? '' });
}

/** Takes the gateway off a locked router. Throws gatewayInUse (409) while floating addresses need it. */
export async function clearGateway(tx: Query, router: RouterRow): Promise<void> {
  if (router.gateway_port_uuid === null) return;
  await mustNotBeNeeded(tx, router);
  await tx
    .updateTable('net_routers')
    .set({ gateway_network_uuid: null, gateway_port_uuid: null, enable_snat: 1 })
    .where('uuid', '=', router.uuid)
    .execute();
  const port = await tx.selectFrom('net_ports').selectAll().where('uuid', '=', router.gateway_port_uuid).executeTakeFirst();
  if (port) await removePort(tx, port);
}

/** Gives a locked router its gateway, or another one. Throws what a port's making throws, and gatewayInUse (409) for another network while floating
 *  addresses need the old one. */
export async function setGateway(tx: Query, context: GroupContext, router: RouterRow, wish: GatewayWish): Promise<void> {
  const snat = wish.snat === undefined ? 1 : wish.snat ? 1 : 0;
  if (router.gateway_network_uuid === wish.networkUuid && router.gateway_port_uuid !== null) {
    await tx.updateTable('net_routers').set({ enable_snat: snat }).where('uuid', '=', router.uuid).execute();
    if (!wish.fixedIps) return;
    const port = await lockPort(tx, router.gateway_port_uuid, context.now);
    if (!port) return;
    const fixed = await changeAddresses(tx, context, port, wish.fixedIps);
    await tx
      .updateTable('net_ports')
      .set({ fixed_ips: JSON.stringify(fixed) })
      .where('uuid', '=', port.uuid)
      .execute();
    return;
  }
  await clearGateway(tx, router);
  const port = await insertPort(
    tx,
    context,
    servicePort({ networkUuid: wish.networkUuid, deviceId: router.uuid, deviceOwner: ROUTER_GATEWAY, fixedIps: wish.fixedIps }),
  );
  await tx
    .updateTable('net_routers')
    .set({ gateway_network_uuid: wish.networkUuid, gateway_port_uuid: port.uuid, enable_snat: snat })
    .where('uuid', '=', router.uuid)
    .execute();
}
