/** A view of the store, held until the snapshot is closed. */
import { AbstractSnapshot } from "abstract-level"
import { Exit, Scope } from "effect"
import type { View } from "../storage/Storage.ts"
import type { Database } from "./Database.ts"

export interface HeldView {
  readonly view: View
  readonly release: () => void | Promise<void>
}

export const hold = ({ bridge, engine }: Database): HeldView => {
  const scope = Scope.makeUnsafe()
  return {
    view: bridge.runSync(Scope.provide(engine.view, scope)),
    release: () => bridge.run(Scope.close(scope, Exit.void))
  }
}

/** Level's declaration lacks the argument of the constructor. */
const Base = AbstractSnapshot as new(options: object) => AbstractSnapshot

export class Snapshot extends Base {
  readonly view: View
  private readonly release: HeldView["release"]

  constructor(database: Database, options: object) {
    super(options)
    const held = hold(database)
    this.view = held.view
    this.release = held.release
  }

  async _close() {
    await this.release()
  }
}
